"""Which patches a device sends before anybody has looked at the picture: from a seed alone.

Both ends of the link call this with the same 32-bit seed and get the same patches, so indices need not travel. It is
integer arithmetic, the same on every CPU and backend. Random sampling is the masked autoencoder's (He et al. 2022);
both grids are this project's reconstruction of what A-MOT might do, see `reference_sampling` for how they are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from edge_runtime.errors import ArgumentError
from edge_runtime.kernels import checks, dispatch

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import U16

Pattern = Literal["random", "grid", "jittered-grid"]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)

MAX_GRID = 256
"""Most rows or columns of patches."""


def sample(pattern: Pattern, grid: tuple[int, int], k: int, seed: int) -> U16:
    """k patches of a frame of ``grid`` (rows, columns) patches: uint16 ``[k]``, ascending, counted row by row.

    ``random`` takes any set with equal probability; ``grid`` spreads them evenly, the seed shifts it; ``jittered-grid``
    spreads them evenly and draws within each cell: at a quarter of the patches one of every 2 × 2. With one seed, the
    grids' k patches are among their k + 1. Raises ArgumentError.
    """
    rows, columns = grid
    checks.integer("grid rows", rows, 1, MAX_GRID)
    checks.integer("grid columns", columns, 1, MAX_GRID)
    checks.integer("k", k, 1, rows * columns)
    checks.integer("seed", seed, 0, 2**32 - 1)
    if pattern not in PATTERNS:
        raise ArgumentError(f"pattern: {pattern!r} is unknown, use one of {', '.join(PATTERNS)}")
    out = np.empty(rows * columns, np.uint16)
    if pattern == "random":
        return out[: dispatch.active.select_random(rows * columns, k, seed, out)]
    return out[: dispatch.active.sample_grid(rows, columns, k, seed, pattern == "jittered-grid", out)]
