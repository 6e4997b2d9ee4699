"""Sampling without a model, in NumPy: the specification of `edge_sample_grid` in array terms.

Random sampling is `select_random`'s. The two grids walk one quadtree over the patches, padded to a square whose side
is a power of two. A patch's rank has one base-4 digit a level, that of the finest level first, so that the k lowest
ranks are spread as evenly as k allows: a quarter of the patches is one in every 2 × 2 cell, a sixteenth one in every
4 × 4. A digit is the order of ordered dithering (Bayer 1973: the diagonal neighbour comes second), exclusive-or'ed
with two bits of a hash: of seed and level for the plain grid, of the cell as well for the jittered one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]


def grid_ranks(rows: int, columns: int, seed: int, jittered: bool) -> I64:
    """Each patch's rank, int64 ``[rows · columns]``, counted row by row; all differ."""
    y, x = np.divmod(np.arange(rows * columns), columns)
    ranks = np.zeros(rows * columns, np.int64)
    for level in range((max(rows, columns) - 1).bit_length()):
        child_x, child_y = x >> level & 1, y >> level & 1
        cell = ((y >> level + 1) << 8 | x >> level + 1) * jittered
        random = splitmix32(seed, level << 16 | cell)
        ranks = ranks << 2 | ((child_x ^ child_y) << 1 | child_y) ^ random >> 30
    return ranks


def splitmix32(seed: int, n: I64) -> I64:
    """The n-th numbers of a seed, 0..2^32 - 1: a counter in steps of the golden ratio, its bits mixed."""
    z = np.uint32(seed) + n.astype(np.uint32) * np.uint32(0x9E3779B9)
    z ^= z >> np.uint32(16)
    z *= np.uint32(0x21F0AAAD)
    z ^= z >> np.uint32(15)
    z *= np.uint32(0x735A2D97)
    return (z ^ z >> np.uint32(15)).astype(np.int64)
