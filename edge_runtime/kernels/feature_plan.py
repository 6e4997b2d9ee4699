"""What a feature coder works from: the transform and tables of one cut, and what a quality makes of them.

`csrc/features.c` states the arithmetic; the bytes are described in docs/formats/features.md. Everything that the
bytes depend on is an integer, or a float32 that takes part in single IEEE operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.kernels.interface import F32, I32, U8, U16

SYMBOLS = 32
"""Alphabet of every histogram: values -15..15, then the escape."""
ESCAPE = 31
PROBABILITY_BITS = 10
RATIOS = 28
"""Histograms for coefficients, a quarter of an octave of expected magnitude apart, from 2^-4 steps on."""
LARGEST_RATIO = 63
MAX_VALUE = 32767
LANES = 4
STATE_BITS = 31
"""Coder states lie in 2^15..2^31 between symbols: small enough to divide by multiplying."""
STATE_FLOOR = 1 << (STATE_BITS - 16)
ACTIVITY_SKIP, ACTIVITY_LOW, ACTIVITY_USUAL, ACTIVITY_HIGH = range(4)


@dataclass(frozen=True)
class FeaturePlan:
    """One cut: maps float32 `[channels, height, width]`, cut into blocks of `block` × `block` positions.

    mean, scale, unscale float32[C]; basis int16[block, block], rows are the orthonormal transform in units of 2^-14;
    forward int16[C, C] maps channels to components, rows sum to at most 65535 in magnitude; inverse int16[C, C] maps
    components back in units of 2^-14; histograms uint16[n, 32], each summing to 1024. With `activity`, each block has
    a class of its own that says whether its coefficients are smaller or larger than expected.
    """

    channels: int
    height: int
    width: int
    block: int
    rectified: bool
    activity: bool
    mean: F32
    scale: F32
    unscale: F32
    basis: NDArray[np.int16]
    forward: NDArray[np.int16]
    inverse: NDArray[np.int16]
    histograms: U16

    @property
    def rows(self) -> int:
        """Blocks from top to bottom, the last one padded."""
        return -(-self.height // self.block)

    @property
    def columns(self) -> int:
        """Blocks from left to right."""
        return -(-self.width // self.block)

    @property
    def blocks(self) -> int:
        """Blocks of one channel."""
        return self.rows * self.columns

    @property
    def frequencies(self) -> int:
        """Coefficients of one block."""
        return self.block * self.block

    @cached_property
    def zigzag(self) -> I32:
        """Raster index (vertical × block + horizontal) of the n-th frequency: by their sum, then by the vertical."""
        return zigzag(self.block)


@dataclass(frozen=True)
class FeatureStep:
    """What one quality makes of a plan.

    extent uint16[K] says how many components are coded per frequency; inverse and step float32[K, C] are the
    reciprocal of a component's step and the step on the decoder's scale; ratio uint8[K, C] is the expected magnitude
    in quarter octaves above 2^-4 steps; floor float32[C] is what a value of a rectified map must be above, or it
    becomes zero. `level` is the usual sum of magnitudes of a block, without its lowest frequency, in sixteenths;
    `activity_table` the histogram of its classes.
    """

    extent: U16
    inverse: F32
    step: F32
    ratio: U8
    floor: F32
    level: int
    activity_table: int


def zigzag(block: int) -> I32:
    """See `FeaturePlan.zigzag`."""
    vertical, horizontal = np.divmod(np.arange(block * block), block)
    order: I32 = np.lexsort((vertical, vertical + horizontal)).astype(np.int32)
    return order
