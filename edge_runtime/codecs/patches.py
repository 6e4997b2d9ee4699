"""Payload ``patches``: some patches of a frame and the bitmap that says which (docs/formats/patches.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import patch_row
from edge_runtime.codecs.patch_header import PatchHeader, check_frame, check_grid
from edge_runtime.codecs.patch_row import CODECS, PatchCodec
from edge_runtime.errors import ArgumentError, PayloadError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CODECS", "PatchCodec", "decode", "encode"]

# Grid rows, grid columns, patch side.
HEADER = PatchHeader("patches", b"EP", 1, "BBB")


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
    check_grid(grid)
    body = patch_row.encode(patches, codec, quality)
    if len(indices) != len(patches):
        raise ArgumentError(f"indices: {len(indices)} for {len(patches)} patches, give one each")
    bitmap = kernels.pack_bitmap(indices, grid[0] * grid[1]).tobytes()
    return HEADER.seal(codec, quality, (*grid, patches.shape[1]), bitmap + body)


def decode(data: bytes, grid: tuple[int, int], patch: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Unpack a payload into indices uint16 ``[k]``, ascending, and patches uint8 ``[k, patch, patch, 3]``.

    ``grid`` and ``patch`` are those of the receiver's frame: a payload of any other is refused before its body is
    looked at. The arrays may be read-only. Raises PayloadError.
    """
    codec, quality, (rows, columns, side) = HEADER.read(data)
    check_frame("patches", (rows, columns, side), grid, patch)
    count = rows * columns
    end = (count + 7) // 8
    if len(data) < HEADER.size + end:
        raise PayloadError(f"patches: {len(data)} bytes end inside the bitmap, which ends at byte {HEADER.size + end}")
    content = HEADER.content(data)
    try:
        indices = kernels.unpack_bitmap(np.frombuffer(content[:end], np.uint8), count)
    except ArgumentError as error:
        raise PayloadError(f"patches: {error}") from None
    if len(indices) == 0:
        raise PayloadError("patches: the bitmap is empty, send at least one patch")
    return indices, patch_row.decode(content[end:], len(indices), patch, codec, quality)
