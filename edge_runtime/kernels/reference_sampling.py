"""Sampling without a model, in NumPy: the specification of `edge_sample` in array terms.

Random sampling is `select_random`'s. The two grids walk one quadtree over the patches, padded to a square whose side
is a power of two. A patch's rank has one base-4 digit a level, that of the finest level first, so that the k lowest
ranks are spread as evenly as k allows: a quarter of the patches is one in every 2 × 2 cell, a sixteenth one in every
4 × 4. A digit is the order of ordered dithering (Bayer 1973: the diagonal neighbour comes second), exclusive-or'ed
with two bits of a hash: of seed and level for the plain grid, of the cell as well for the jittered one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

U32 = NDArray[np.uint32]


def grid_ranks(rows: int, columns: int, seed: int, jittered: bool) -> U32:
    """Each patch's rank, uint32 ``[rows · columns]``, counted row by row; all differ."""
    y, x = np.divmod(np.arange(rows * columns, dtype=np.uint32), np.uint32(columns))
    ranks = np.zeros(rows * columns, np.uint32)
    for level in range((max(rows, columns) - 1).bit_length()):
        child_x, child_y = x >> level & 1, y >> level & 1
        cell = (y >> level + 1) << 8 | x >> level + 1
        key = np.uint32(level << 16) | (cell if jittered else np.zeros_like(cell))
        digit = ((child_x ^ child_y) << 1 | child_y) ^ _mix(np.uint32(seed) + key * np.uint32(0x9E3779B9)) >> 30
        ranks = ranks << 2 | digit
    return ranks


def _mix(z: U32) -> U32:
    z = z ^ z >> 16
    z = z * np.uint32(0x21F0AAAD)
    z ^= z >> 15
    z = z * np.uint32(0x735A2D97)
    return z ^ z >> 15
