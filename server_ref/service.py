"""The gRPC face of the backend: messages to words and back, errors to statuses."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import grpc

from edge_runtime import kernels
from edge_runtime.errors import (
    ArgumentError,
    BundleError,
    EdgeRuntimeError,
    ModelError,
    PayloadError,
    SessionForgotten,
)
from edge_runtime.messages import Payload, Request, SecondRound
from edge_runtime.transport import edge_runtime_pb2 as pb
from edge_runtime.transport.client import SERVICE
from server_ref.line import TooLate
from server_ref.parse import parse

if TYPE_CHECKING:
    from edge_runtime.messages import Ask, Reply
    from server_ref.backend import Backend

STATUSES: dict[type[EdgeRuntimeError], grpc.StatusCode] = {
    PayloadError: grpc.StatusCode.INVALID_ARGUMENT,
    ArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    SessionForgotten: grpc.StatusCode.NOT_FOUND,
    BundleError: grpc.StatusCode.FAILED_PRECONDITION,
    TooLate: grpc.StatusCode.DEADLINE_EXCEEDED,
    ModelError: grpc.StatusCode.INTERNAL,
}
# A status travels in HTTP headers, which are small; what a request says of itself may be long.
MAX_STATUS_TEXT = 400


class Service:
    """Answers `Infer` and `Describe`; statuses are listed in the schema."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._hash = bytes.fromhex(backend.description.bundle_hash)

    def handlers(self) -> grpc.GenericRpcHandler:
        """What a gRPC server calls. `Infer` gets bytes, since a request is counted before it is parsed."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Infer": grpc.unary_unary_rpc_method_handler(
                    self.infer, response_serializer=pb.InferReply.SerializeToString
                ),
                "Describe": grpc.unary_unary_rpc_method_handler(
                    self.describe, pb.DescribeRequest.FromString, pb.DescribeReply.SerializeToString
                ),
            },
        )

    def infer(self, data: bytes, context: grpc.ServicerContext) -> pb.InferReply:
        """Answer the frames of an `InferRequest`."""
        left_s = context.time_remaining()
        deadline_s = math.inf if left_s is None else time.monotonic() + left_s
        try:
            message = parse(data, self._backend.description.max_frames)
            self._check_bundle(message.bundle_hash)
            return self._to_message(self._backend.answer(_to_request(message), deadline_s))
        except tuple(STATUSES) as error:
            context.set_code(STATUSES[type(error)])
            context.set_details(str(error)[:MAX_STATUS_TEXT])
            return pb.InferReply()

    def describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeReply:  # noqa: ARG002
        """Say what can be answered."""
        description = self._backend.description
        return pb.DescribeReply(
            bundle_hash=self._hash,
            default_model=description.default_model,
            models=description.models,
            classes=description.classes,
            payload_kinds=description.payload_kinds,
            frame_size=description.frame_size,
            patch_size=description.patch_size,
            max_frames=description.max_frames,
        )

    def _check_bundle(self, theirs: bytes) -> None:
        if theirs != self._hash:
            raise BundleError(
                f"bundle_hash: the device has {theirs[:4].hex() or 'none'}…, the server {self._hash[:4].hex()}…, "
                "install both halves of one export"
            )

    def _to_message(self, reply: Reply) -> pb.InferReply:
        return pb.InferReply(
            probabilities=reply.probabilities.ravel(),
            model=reply.model,
            timings_ms=pb.Timings(**reply.timings_ms),
            queue_length=reply.queue_length,
            ask=self._to_ask(reply.ask) if reply.ask else None,
        )

    def _to_ask(self, ask: Ask) -> pb.Ask:
        description = self._backend.description
        count = (description.frame_size // description.patch_size) ** 2
        return pb.Ask(session=ask.session, bitmap=kernels.pack_bitmap(ask.indices, count).tobytes())


def _to_request(message: pb.InferRequest) -> Request:
    payloads = tuple(_to_payload(payload) for payload in message.payloads)
    second = None
    if message.HasField("second_round"):
        second = SecondRound(message.second_round.patches, message.second_round.below)
    return Request(message.system, message.frame_id, payloads, message.model, second)


def _to_payload(message: pb.Payload) -> Payload:
    kind = message.WhichOneof("data")
    if kind is None:
        raise PayloadError("payloads: one is of no kind that this server knows, ask Describe for payload_kinds")
    return Payload(kind, getattr(message, kind))
