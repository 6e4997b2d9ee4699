"""Tests of server_ref.service: what a device reads in a status, over a real connection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.codecs import image, patches
from edge_runtime.transport import edge_runtime_pb2 as pb
from edge_runtime.transport.edge_runtime_pb2_grpc import EdgeRuntimeStub
from server_ref.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stub(backend) -> Iterator[EdgeRuntimeStub]:
    """A bare stub of a running server."""
    with Server(backend) as server, grpc.insecure_channel(server.address) as channel:
        yield EdgeRuntimeStub(channel)


@pytest.fixture
def message(backend, pixels) -> pb.InferRequest:
    """A good request: the whole frame as PNG."""
    return pb.InferRequest(
        system="remote",
        frame_id=1,
        bundle_hash=bytes.fromhex(backend.description.bundle_hash),
        payloads=[pb.Payload(image=image.encode(pixels, "png"))],
    )


def refusal(stub: EdgeRuntimeStub, message: pb.InferRequest, timeout: float = 5) -> tuple[grpc.StatusCode, str]:
    """Status and text of a call that must fail; a good request must still be answered after it."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.Infer(message, timeout=timeout)
    stub.Describe(pb.DescribeRequest(), timeout=5)
    return caught.value.code(), caught.value.details()


class TestAnswers:
    """Requests that are answered."""

    def test_image(self, stub, message):
        """A whole image is answered with probabilities, model, times and queue length."""
        reply = stub.Infer(message, timeout=5)

        assert list(reply.probabilities) == pytest.approx([0.5, 0, 0.5])
        assert reply.model == "colour"
        assert reply.timings_ms.compute > 0

    @pytest.mark.parametrize("codec", ["raw", "jpeg", "webp"])
    def test_patches(self, stub, message, pixels, codec):
        """Some patches are answered from what they show: the upper half is red."""
        indices = np.array([0, 3, 5], np.uint16)
        message.payloads[0].patches = patches.encode(kernels.gather(pixels, indices, 16), indices, (4, 4), codec)

        assert stub.Infer(message, timeout=5).probabilities[0] > 0.95

    def test_frames_are_answered_row_by_row(self, stub, message, pixels):
        """Probabilities are frames × classes, in the order of the payloads."""
        green = np.ascontiguousarray(np.roll(pixels, 1, axis=2))
        message.payloads.append(pb.Payload(image=image.encode(green, "png")))

        assert list(stub.Infer(message, timeout=5).probabilities) == pytest.approx([0.5, 0, 0.5, 0.5, 0.5, 0])

    def test_without_a_deadline(self, stub, message):
        """A call without a deadline is answered too."""
        assert stub.Infer(message).model == "colour"

    def test_describe(self, stub, backend):
        """A client can ask which bundle, models, classes, payloads and sizes there are."""
        reply = stub.Describe(pb.DescribeRequest(), timeout=5)

        assert reply.bundle_hash.hex() == backend.description.bundle_hash
        assert reply.default_model == "colour"
        assert list(reply.models) == ["colour"]
        assert list(reply.classes) == ["red", "green", "blue"]
        assert list(reply.payload_kinds) == ["image", "patches"]
        assert (reply.frame_size, reply.patch_size, reply.max_frames) == (64, 16, 32)


class TestRefusals:
    """Requests that are refused; the server lives on."""

    def test_other_bundle(self, stub, message):
        """Both hashes are named, short."""
        message.bundle_hash = bytes(32)
        status, text = refusal(stub, message)

        assert status is grpc.StatusCode.FAILED_PRECONDITION
        assert "the device has 00000000…, the server" in text

    def test_no_bundle_hash(self, stub, message):
        """A request that names no bundle is refused."""
        message.bundle_hash = b""

        assert "the device has none…" in refusal(stub, message)[1]

    def test_unknown_model(self, stub, message):
        """The models that exist are named."""
        message.model = "other"

        assert refusal(stub, message) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "model: 'other' is unknown, this server has colour",
        )

    def test_endless_model_name(self, stub, message):
        """A name too long for a status is cut, not a protocol error."""
        message.payloads[0].image = b""
        message.model = "x" * 60_000
        status, text = refusal(stub, message)

        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert len(text) <= 400

    def test_no_payload(self, stub, message):
        """A request without a payload that the server knows is told where to look."""
        message.payloads[0].ClearField("image")
        status, text = refusal(stub, message)

        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert "ask Describe for payload_kinds" in text

    def test_no_payloads(self, stub, message):
        """A request for no frame is none."""
        message.ClearField("payloads")

        assert refusal(stub, message) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "payloads: none in one request, give one or more payloads of one kind",
        )

    def test_mixed_payloads(self, stub, message):
        """Frames of several kinds are refused, before any is decoded."""
        message.payloads.append(pb.Payload(patches=b"no patches"))

        assert refusal(stub, message) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "payloads: image, patches in one request, give one or more payloads of one kind",
        )

    def test_too_many_payloads(self, stub, message):
        """One frame more than Describe says is refused before any is decoded."""
        del message.payloads[:]
        message.payloads.extend([pb.Payload(image=b"no image")] * 33)

        assert refusal(stub, message) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "payloads: 33 in one request, send 32 at most",
        )

    @pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8 ", bytes(1000)])
    def test_bad_image(self, stub, message, data):
        """Bytes that are no picture get the codec's own line."""
        message.payloads[0].image = data
        status, text = refusal(stub, message)

        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert text.startswith("image: ")

    @pytest.mark.parametrize("data", [b"", b"EP", b"EP\x01\x00\x00\x04\x04\x10\0\0\0\0", bytes(1000)])
    def test_bad_patches(self, stub, message, data):
        """Bytes that are no patches get the codec's own line."""
        message.payloads[0].patches = data
        status, text = refusal(stub, message)

        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert text.startswith("patches: ")

    def test_oversized_message(self, stub, message):
        """A message larger than 32 raw frames and their slack is refused before it is read."""
        message.payloads[0].image = bytes(32 * (3 * 64 * 64 + (1 << 12)))

        assert refusal(stub, message)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED

    def test_too_late(self, stub, message, predictor):
        """A request whose time is over before its turn is not computed."""
        predictor.hold.clear()
        first = stub.Infer.future(message, timeout=5)
        predictor.began.wait(5)
        status, _ = refusal(stub, message, timeout=0.1)
        predictor.hold.set()
        first.result()
        time.sleep(0.1)

        assert status is grpc.StatusCode.DEADLINE_EXCEEDED
        assert predictor.calls == 1

    def test_a_million_empty_payloads(self, backend, predictor):
        """Two megabytes, within the limits of a larger model, that would be fifty in memory are refused unread."""
        backend.max_payload_bytes = 1 << 16
        with Server(backend) as server, grpc.insecure_channel(server.address) as channel:
            call = channel.unary_unary("/edge_runtime.v1.EdgeRuntime/Infer")
            with pytest.raises(grpc.RpcError) as caught:
                call(b"\x52\x00" * 1_000_000, timeout=5)

        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "payloads: more than 48 fields in one request, send 32 payloads at most"
        assert predictor.calls == 0

    def test_garbage_instead_of_protobuf(self, backend):
        """Bytes that are no message end the call, not the process."""
        with Server(backend) as server, grpc.insecure_channel(server.address) as channel:
            call = channel.unary_unary("/edge_runtime.v1.EdgeRuntime/Infer")
            with pytest.raises(grpc.RpcError) as caught:
                call(b"\xff" * 50, timeout=5)

            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert caught.value.details() == "request: 50 bytes are no InferRequest, send what the schema says"
            assert EdgeRuntimeStub(channel).Describe(pb.DescribeRequest(), timeout=5).models
