"""Reading a request off the wire. Its fields are counted before they are parsed.

An empty payload is 2 bytes on the wire and 50 in memory: a message of a few megabytes, within every other limit, would
fill hundreds, and hold up the other requests while it does.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.transport import edge_runtime_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a request has besides its payloads, and may have in later versions.
OTHER_FIELDS = 16
# Wire types of protobuf.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def parse(data: bytes, max_frames: int) -> pb.InferRequest:
    """Read a request; raises ArgumentError for more than ``max_frames`` payloads, PayloadError for no such message."""
    most = max_frames + OTHER_FIELDS
    if sum(1 for _ in islice(_fields(data), most + 1)) > most:
        raise ArgumentError(f"payloads: more than {most} fields in one request, send {max_frames} payloads at most")
    try:
        message: pb.InferRequest = pb.InferRequest.FromString(data)
    except DecodeError:
        raise _no_message(data) from None
    if len(message.payloads) > max_frames:
        raise ArgumentError(f"payloads: {len(message.payloads)} in one request, send {max_frames} at most")
    return message


def _fields(data: bytes) -> Iterator[int]:
    """Where each field of a message begins, those inside fields left out."""
    at = 0
    while at < len(data):
        yield at
        tag, at = _varint(data, at)
        wire_type = tag & 7
        if wire_type == VARINT:
            _, at = _varint(data, at)
        elif wire_type == BYTES:
            size, at = _varint(data, at)
            at += size
        elif wire_type in (FIXED64, FIXED32):
            at += 8 if wire_type == FIXED64 else 4
        else:
            raise _no_message(data)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer in base 128, and where it ends."""
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value, at + shift + 1
    raise _no_message(data)


def _no_message(data: bytes) -> PayloadError:
    return PayloadError(f"request: {len(data)} bytes are no InferRequest, send what the schema says")
