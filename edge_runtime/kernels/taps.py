"""Which source pixels make an output pixel of a resize, and with which integer weights.

The arithmetic is that of Pillow's `Image.resize`: the filter widens with the scale (antialiasing), its values are
computed in double, divided by their sequential sum, and rounded to multiples of 2^-22. Every backend applies the
same integers, so the picture has the same bytes everywhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edge_runtime.kernels.interface import I32

Filter = Literal["bicubic", "bilinear"]

PRECISION_BITS = 32 - 8 - 2


class Taps(NamedTuple):
    """bounds i32[n,2]: first source pixel and number of them; weights i32[n,taps] in units of 2^-22."""

    bounds: I32
    weights: I32

    def window(self, start: int, count: int) -> Taps:
        """The taps of output pixels start..start+count alone, as a crop needs them."""
        chosen = slice(start, start + count)
        return Taps(self.bounds[chosen], self.weights[chosen])

    def shifted(self, offset: int) -> Taps:
        """The same taps for a source that begins `offset` pixels later."""
        bounds = self.bounds.copy()
        bounds[:, 0] -= offset
        return Taps(bounds, self.weights)

    def span(self) -> tuple[int, int]:
        """First source pixel used and the one after the last."""
        return int(self.bounds[0, 0]), int(self.bounds[-1].sum())


def _bilinear(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    a = -0.5
    x = np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


_FILTERS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "bilinear": (_bilinear, 1.0),
    "bicubic": (_bicubic, 2.0),
}


@lru_cache(maxsize=64)
def taps(source: int, start: float, stop: float, target: int, filter: Filter) -> Taps:  # noqa: A002
    """Taps that map source pixels start..stop of `source` to `target` output pixels."""
    kernel, support = _FILTERS[filter]
    # Pillow keeps the box in float32.
    low, high = np.float32(start), np.float32(stop)
    scale = float(high - low) / target
    stretch = max(scale, 1.0)
    support *= stretch
    centre = float(low) + (np.arange(target) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int32), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int32), source)
    count = last - first
    position = np.arange(int(np.ceil(support)) * 2 + 1)
    values = kernel((position + first[:, None] - centre[:, None] + 0.5) * (1.0 / stretch))
    values[position >= count[:, None]] = 0.0
    # cumsum adds strictly in order, as Pillow does; numpy.sum would add in pairs.
    total = values.cumsum(axis=1)[:, -1:]
    np.divide(values, total, out=values, where=total != 0.0)
    rounded = values * (1 << PRECISION_BITS) + np.where(values < 0, -0.5, 0.5)
    weights = rounded.astype(np.int32)
    bounds = np.stack([first, count], axis=1).astype(np.int32)
    bounds.flags.writeable = weights.flags.writeable = False
    return Taps(bounds, weights)
