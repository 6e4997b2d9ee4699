"""Tests of server_ref.parse: requests off the wire, hostile ones among them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.transport import edge_runtime_pb2 as pb
from server_ref.parse import parse

EMPTY_PAYLOAD = b"\x52\x00"


@pytest.fixture
def message() -> pb.InferRequest:
    """A request with every field."""
    return pb.InferRequest(
        system="split",
        frame_id=2**63,
        bundle_hash=bytes(range(32)),
        model="net.early",
        payloads=[pb.Payload(features=bytes([i]) * 1000) for i in range(32)],
    )


def refused(data: bytes) -> bool:
    """Whether bytes are no request; anything but a refusal that says so is an error."""
    try:
        parse(data, 32)
    except (ArgumentError, PayloadError):
        return True
    return False


def test_what_was_written_is_read(message):
    """A request of the most frames comes through unchanged."""
    assert parse(message.SerializeToString(), 32) == message


def test_nothing_at_all():
    """No bytes are a request without fields."""
    assert parse(b"", 32) == pb.InferRequest()


def test_fields_of_a_later_version(message):
    """Unknown fields of every wire type are passed over, even after the payloads."""
    later = b"\xa0\x06\x05" + b"\xa1\x06" + bytes(8) + b"\xa2\x06\x03abc" + b"\xa5\x06" + bytes(4)

    assert parse(message.SerializeToString() + later, 32).payloads == message.payloads


def test_one_payload_too_many(message):
    """The number and the most are named."""
    message.payloads.add(features=b"")
    with pytest.raises(ArgumentError, match="payloads: 33 in one request, send 32 at most"):
        parse(message.SerializeToString(), 32)


def test_a_million_payloads_cost_no_more_than_fifty():
    """They are counted no further than needed, not parsed: that would take a tenth of a second."""
    hostile = EMPTY_PAYLOAD * 1_000_000
    taken_s = []
    for _ in range(5):
        start = time.perf_counter()
        with pytest.raises(ArgumentError, match="more than 48 fields in one request, send 32 payloads at most"):
            parse(hostile, 32)
        taken_s.append(time.perf_counter() - start)

    assert min(taken_s) < 0.005


@pytest.mark.parametrize(
    "data",
    [
        b"\x52",  # a tag alone
        b"\x52\x05abc",  # a payload that ends early
        b"\x52" + b"\xff" * 9 + b"\x01",  # a payload of 2⁶⁴ − 1 bytes
        b"\x52" + b"\x80" * 11,  # a size that does not end
        b"\x10" + b"\x80" * 11,  # a number that does not end
        b"\x53\x54",  # a group, which proto3 does not have
        b"\x57",  # a wire type that nobody has
        b"\x09abc",  # eight bytes of which there are three
    ],
)
def test_bytes_that_are_no_message(data):
    """They are refused by number, whoever notices first."""
    with pytest.raises(PayloadError, match=f"request: {len(data)} bytes are no InferRequest, send what the schema"):
        parse(data, 32)


def test_changed_bytes_are_read_or_refused(message):
    """Requests with flipped, cut or repeated bytes are read within the limits, or refused by one of two errors."""
    seeded = np.random.default_rng(0)
    good = message.SerializeToString()
    outcomes = []
    for _ in range(2000):
        changed = bytearray(good[: seeded.integers(0, len(good) + 1)] if seeded.random() < 0.3 else good)
        for place in seeded.integers(0, max(min(len(changed), 200), 1), 3):
            changed[place : place + 1] = seeded.integers(0, 256, seeded.integers(0, 3), np.uint8).tobytes()
        outcomes.append(refused(bytes(changed)))

    assert 0 < sum(outcomes) < len(outcomes)
