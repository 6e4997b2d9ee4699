"""The bytes of the messages of docs/formats/wire.md."""

from __future__ import annotations

import pytest

from edge_runtime.transport import edge_runtime_pb2 as pb

MESSAGES = {
    "request": (
        pb.InferRequest(
            system="amot",
            frame_id=300,
            bundle_hash=bytes(range(32)),
            model="vit",
            second_round=pb.SecondRound(below=0.75, patches=49),
            payloads=[pb.Payload(samples=b"ES\x01")],
        ),
        (
            "0a04616d6f7410ac021a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2203766974"
            "2a070d0000403f103152052203455301"
        ),
    ),
    "reply": (
        pb.InferReply(
            probabilities=[0.25, 0.75],
            model="vit",
            timings_ms=pb.Timings(decode=0.5, queue=2, compute=31.25),
            queue_length=2,
            ask=pb.Ask(session=bytes(16), bitmap=b"\x05\x80"),
        ),
        (
            "0a080000803e0000403f12037669741a0f0d0000003f15000000401d0000fa4120022a160a1000000000000000000000"
            "00000000000012020580"
        ),
    ),
    "description": (
        pb.DescribeReply(
            bundle_hash=bytes(32),
            default_model="vit",
            models=["vit", "cnn"],
            classes=["red", "green"],
            payload_kinds=["image", "samples"],
            frame_size=224,
            patch_size=16,
            max_frames=32,
        ),
        (
            "0a20000000000000000000000000000000000000000000000000000000000000000012037669741a037669741a03636e"
            "6e22037265642205677265656e2a05696d6167652a0773616d706c657330e00138104020"
        ),
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_bytes_of_version_1(name: str) -> None:
    """Written as ever, and read back."""
    message, golden = MESSAGES[name]
    assert message.SerializeToString(deterministic=True).hex() == golden
    assert type(message).FromString(bytes.fromhex(golden)) == message
