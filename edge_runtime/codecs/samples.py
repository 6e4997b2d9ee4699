"""Payload ``samples``: patches drawn from a seed, so that no index travels (docs/formats/samples.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime import kernels
from edge_runtime.codecs import patch_row
from edge_runtime.codecs.patch_header import PatchHeader, check_frame, check_grid
from edge_runtime.errors import ArgumentError, PayloadError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.codecs.patch_row import PatchCodec
    from edge_runtime.kernels import Pattern

# Grid rows, grid columns, patch side, pattern, seed, number of patches.
HEADER = PatchHeader("samples", b"ES", 1, "BBBBIH")


def encode(
    patches: NDArray[np.uint8],
    grid: tuple[int, int],
    pattern: Pattern,
    seed: int,
    codec: PatchCodec = "webp",
    quality: int = 50,
) -> bytes:
    """Pack patches uint8 ``[k, p, p, 3]`` of a frame of ``grid`` (rows, columns) patches into one payload.

    They are those of ``kernels.sample(pattern, grid, k, seed)``, in its order; k is at least 1, ``seed`` has 32 bits.
    ``quality`` is 1..100 and means nothing to ``raw``. Raises ArgumentError.
    """
    check_grid(grid)
    body = patch_row.encode(patches, codec, quality)
    count, side = patches.shape[:2]
    if count > grid[0] * grid[1]:
        raise ArgumentError(f"patches: {count} of a frame that has {grid[0]} × {grid[1]}")
    if pattern not in kernels.PATTERNS:
        raise ArgumentError(f"pattern: {pattern!r} is unknown, use one of {', '.join(kernels.PATTERNS)}")
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"seed: {seed} is outside 0..{2**32 - 1}")
    return HEADER.seal(codec, quality, (*grid, side, kernels.PATTERNS.index(pattern), seed, count), body)


def decode(data: bytes, grid: tuple[int, int], patch: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Unpack a payload into indices uint16 ``[k]``, ascending, and patches uint8 ``[k, patch, patch, 3]``.

    ``grid`` and ``patch`` are those of the receiver's frame: a payload of any other is refused before its body is
    looked at. The patches may be read-only. Raises PayloadError.
    """
    codec, quality, (rows, columns, side, pattern, seed, count) = HEADER.read(data)
    check_frame("samples", (rows, columns, side), grid, patch)
    if pattern >= len(kernels.PATTERNS):
        raise PayloadError(f"samples: pattern {pattern} is unknown, this decoder reads 0..{len(kernels.PATTERNS) - 1}")
    if not 1 <= count <= rows * columns:
        raise PayloadError(f"samples: {count} patches of a frame that has {rows} × {columns}, send at least one")
    patches = patch_row.decode(HEADER.content(data), count, patch, codec, quality)
    return kernels.sample(kernels.PATTERNS[pattern], grid, count, seed), patches
