"""A VP8 key frame without its RIFF envelope: what a lossy WebP file holds after its first 20 bytes."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edge_runtime.errors import PayloadError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SIDE = 16383
ENVELOPE = struct.Struct("<4sI4s4sI")
# Frame tag (3 bytes, bit 0 clear for a key frame), start code, width and height of 14 bits each.
FRAME_HEADER = struct.Struct("<3s3sHH")


def encode(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """Compress uint8 ``[height, width, 3]`` at quality 0..100 to one key frame."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", quality=quality, method=4)
    return out.getvalue()[ENVELOPE.size :]


def decode(frame: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """Rebuild uint8 ``[height, width, 3]`` from a key frame; raises PayloadError, also for any other size."""
    found = size(frame)
    if found != (width, height):
        raise PayloadError(f"webp: picture is {found[0]} × {found[1]}, expected {width} × {height}")
    padding = b"\0" * (len(frame) % 2)
    length = len(frame) + len(padding)
    file = ENVELOPE.pack(b"RIFF", 12 + length, b"WEBP", b"VP8 ", len(frame)) + frame + padding
    try:
        with Image.open(io.BytesIO(file), formats=["WEBP"]) as image:
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise PayloadError(f"webp: {len(frame)} bytes do not decode: {error}") from None


def size(frame: bytes) -> tuple[int, int]:
    """Width and height that a key frame declares; raises PayloadError."""
    if len(frame) < FRAME_HEADER.size:
        raise PayloadError(f"webp: {len(frame)} bytes, a VP8 frame has at least {FRAME_HEADER.size}")
    tag, start, width, height = FRAME_HEADER.unpack_from(frame)
    if tag[0] & 1 or start != b"\x9d\x01\x2a":
        raise PayloadError("webp: the bytes do not start with a VP8 key frame")
    # The upper two bits ask the viewer to enlarge the picture; they do not change what is decoded.
    return width & 0x3FFF, height & 0x3FFF
