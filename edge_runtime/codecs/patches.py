"""Payload ``patches``: some patches of a frame and the bitmap that says which (docs/formats/patches.md).

The patches lie side by side in one row, in ascending order. Of the layouts measured, that row is the smallest at
equal quality: nothing is spent on patches that are not sent, and a patch touches only its left and right neighbour.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import jpeg, webp
from edge_runtime.errors import ArgumentError, PayloadError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PatchCodec = Literal["raw", "jpeg", "webp"]

CODECS: tuple[PatchCodec, ...] = get_args(PatchCodec)
MAGIC = b"EP"
VERSION = 1
# Magic, version, codec, quality, grid rows, grid columns, patch side; then the CRC-32 of all other bytes.
HEADER = struct.Struct("<2sBBBBBB")
CHECKSUM = struct.Struct("<I")
MAX_ROW = {"raw": 1 << 24, "jpeg": jpeg.MAX_SIDE, "webp": webp.MAX_SIDE}


def encode(
    patches: NDArray[np.uint8],
    indices: NDArray[np.uint16],
    grid: tuple[int, int],
    codec: PatchCodec = "jpeg",
    quality: int = 75,
) -> bytes:
    """Pack patches uint8 ``[k, p, p, 3]`` of a frame of ``grid`` (rows, columns) patches into one payload.

    ``indices`` are uint16 ``[k]``, strictly ascending, counted row by row; k is at least 1. ``quality`` is 1..100
    and means nothing to ``raw``. Raises ArgumentError.
    """
    side = _check_patches(patches, indices, grid)
    if codec not in CODECS:
        raise ArgumentError(f"codec: {codec!r} is unknown, use one of {', '.join(CODECS)}")
    if not 1 <= quality <= 100:
        raise ArgumentError(f"quality: {quality} is outside 1..100")
    if len(indices) * side > MAX_ROW[codec]:
        raise ArgumentError(
            f"patches: {len(indices)} of {side} pixels are wider than the {MAX_ROW[codec]} that {codec!r} holds, "
            "use another codec"
        )
    bitmap = kernels.pack_bitmap(indices, grid[0] * grid[1]).tobytes()
    body = _encode_body(patches, codec, quality)
    header = HEADER.pack(MAGIC, VERSION, CODECS.index(codec), quality if codec == "jpeg" else 0, grid[0], grid[1], side)
    return header + CHECKSUM.pack(zlib.crc32(header + bitmap + body)) + bitmap + body


def decode(data: bytes, grid: tuple[int, int], patch: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Unpack a payload into indices uint16 ``[k]``, ascending, and patches uint8 ``[k, patch, patch, 3]``.

    ``grid`` and ``patch`` are those of the receiver's frame: a payload of any other is refused before its body is
    looked at. The arrays may be read-only. Raises PayloadError.
    """
    codec, quality = _check_header(data, grid, patch)
    count = grid[0] * grid[1]
    start = HEADER.size + CHECKSUM.size
    end = start + (count + 7) // 8
    if len(data) < end:
        raise PayloadError(f"patches: {len(data)} bytes end inside the bitmap, which ends at byte {end}")
    (announced,) = CHECKSUM.unpack_from(data, HEADER.size)
    actual = zlib.crc32(data[start:], zlib.crc32(data[: HEADER.size]))
    if actual != announced:
        raise PayloadError(f"patches: checksum is {actual:08x}, header announces {announced:08x}, send it again")
    try:
        indices = kernels.unpack_bitmap(np.frombuffer(data[start:end], np.uint8), count)
    except ArgumentError as error:
        raise PayloadError(f"patches: {error}") from None
    if len(indices) == 0:
        raise PayloadError("patches: the bitmap is empty, send at least one patch")
    return indices, _decode_body(data[end:], len(indices), patch, codec, quality)


def _check_patches(patches: NDArray[np.uint8], indices: NDArray[np.uint16], grid: tuple[int, int]) -> int:
    shape = patches.shape
    if patches.dtype != np.uint8 or patches.ndim != 4 or shape[1] != shape[2] or shape[3] != 3:
        raise ArgumentError(f"patches: {patches.dtype}{list(shape)} is not uint8[k, p, p, 3]")
    if len(indices) != shape[0] or shape[0] == 0:
        raise ArgumentError(f"indices: {len(indices)} for {shape[0]} patches, give one each and at least one")
    if not all(1 <= side <= 255 for side in (*grid, shape[1])):
        raise ArgumentError(f"grid: {grid[0]} × {grid[1]} patches of {shape[1]} pixels, each may be 1..255")
    return shape[1]


def _encode_body(patches: NDArray[np.uint8], codec: PatchCodec, quality: int) -> bytes:
    if codec == "raw":
        return patches.tobytes()
    count, side = patches.shape[:2]
    row = np.ascontiguousarray(patches.transpose(1, 0, 2, 3)).reshape(side, count * side, 3)
    return jpeg.encode(row, quality) if codec == "jpeg" else webp.encode(row, quality)


def _check_header(data: bytes, grid: tuple[int, int], patch: int) -> tuple[PatchCodec, int]:
    if len(data) < HEADER.size + CHECKSUM.size:
        raise PayloadError(f"patches: {len(data)} bytes end inside the header of {HEADER.size + CHECKSUM.size}")
    magic, version, codec, quality, rows, columns, side = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise PayloadError(f"patches: the bytes start with {magic.hex()}, expected {MAGIC.hex()}")
    if version != VERSION:
        raise PayloadError(f"patches: format version {version} is unknown, this decoder reads {VERSION}")
    if codec >= len(CODECS):
        raise PayloadError(f"patches: codec {codec} is unknown, this decoder reads 0..{len(CODECS) - 1}")
    if (rows, columns, side) != (*grid, patch):
        raise PayloadError(
            f"patches: grid {rows} × {columns} of {side} pixels, expected {grid[0]} × {grid[1]} of {patch}"
        )
    return CODECS[codec], quality


def _decode_body(body: bytes, count: int, side: int, codec: PatchCodec, quality: int) -> NDArray[np.uint8]:
    if codec == "raw":
        expected = count * side * side * 3
        if len(body) != expected:
            raise PayloadError(f"patches: raw body of {len(body)} bytes, {count} patches have {expected}")
        return np.frombuffer(body, np.uint8).reshape(count, side, side, 3)
    width = count * side
    row = jpeg.decode(body, width, side, quality) if codec == "jpeg" else webp.decode(body, width, side)
    return np.ascontiguousarray(row.reshape(side, count, side, 3).transpose(1, 0, 2, 3))
