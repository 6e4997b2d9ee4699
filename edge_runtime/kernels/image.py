"""Picture kernels: resize, crop, normalise.

Pictures are uint8[height, width, 3], RGB, C-contiguous. Source: Pillow's resampling for the bytes of a resize,
torchvision's `Resize` and `CenterCrop` for the rounding of a frame.

The horizontal pass always comes first, as in every Pillow before 13. Pillow 13 turns the order round where the
height shrinks much more than the width, which moves some bytes; a model's input must not depend on that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from edge_runtime.errors import ArgumentError
from edge_runtime.kernels import checks, dispatch
from edge_runtime.kernels.taps import Filter, Taps, taps

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import F32, U8

# Sides beyond this would overflow the 32-bit sizes of the compiled kernels.
MAX_SIDE = 1 << 15


@dataclass(frozen=True)
class Geometry:
    """How a photo becomes the square picture a model was trained on.

    With `resize` None the whole photo is stretched to size × size; otherwise its shorter side becomes `resize`
    and the centre size × size is kept. Raises ArgumentError when the crop would not fit.
    """

    size: int = 224
    resize: int | None = None
    interpolation: Filter = "bicubic"

    def __post_init__(self) -> None:
        checks.integer("size", self.size, 1, MAX_SIDE)
        _check_filter("interpolation", self.interpolation)
        if self.resize is not None:
            checks.integer("resize", self.resize, self.size, MAX_SIDE)


def resize(
    image: U8,
    size: tuple[int, int],
    *,
    box: tuple[float, float, float, float] | None = None,
    filter: Filter = "bicubic",  # noqa: A002 - Pillow's and everybody's word
) -> U8:
    """Resize uint8[H,W,3] to uint8[h,w,3] with the bytes of Pillow's `Image.resize`, horizontal pass first.

    `size` is (height, width) in pixels. `box` is (left, top, right, bottom) in source pixels, fractions allowed,
    default the whole picture. Raises ArgumentError.
    """
    checks.array("image", image, np.uint8, ("H", "W", 3))
    height, width = image.shape[:2]
    checks.integer("size[0]", size[0], 1, MAX_SIDE)
    checks.integer("size[1]", size[1], 1, MAX_SIDE)
    _check_filter("filter", filter)
    left, top, right, bottom = box or (0, 0, width, height)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ArgumentError(f"box: {box} does not lie inside the picture of {width} × {height}")
    return _resample(
        image,
        taps(height, top, bottom, size[0], filter),
        taps(width, left, right, size[1], filter),
    )


def frame(image: U8, geometry: Geometry) -> U8:
    """Bring a photo uint8[H,W,3] to the model's uint8[size,size,3].

    Only pixels that survive the crop are computed; the bytes equal resizing the whole photo and cropping after.
    Raises ArgumentError.
    """
    if geometry.resize is None:
        return resize(image, (geometry.size, geometry.size), filter=geometry.interpolation)
    checks.array("image", image, np.uint8, ("H", "W", 3))
    height, width = image.shape[:2]
    shorter = min(height, width)
    rows, columns = (int(geometry.resize * side / shorter) for side in (height, width))
    vertical = taps(height, 0, height, rows, geometry.interpolation)
    horizontal = taps(width, 0, width, columns, geometry.interpolation)
    return _resample(
        image,
        vertical.window(round((rows - geometry.size) / 2), geometry.size),
        horizontal.window(round((columns - geometry.size) / 2), geometry.size),
    )


def _check_filter(name: str, value: str) -> None:
    if value not in get_args(Filter):
        raise ArgumentError(f"{name}: {value!r} is unknown, use 'bicubic' or 'bilinear'")


def _resample(image: U8, vertical: Taps, horizontal: Taps) -> U8:
    # Rows that no output row reads are left out of the first pass.
    first, last = vertical.span()
    columns, rows = len(horizontal.bounds), len(vertical.bounds)
    narrow = np.empty((last - first, columns, 3), np.uint8)
    dispatch.active.resample_horizontal(image[first:last], *horizontal, narrow)
    out = np.empty((rows, columns, 3), np.uint8)
    dispatch.active.resample_vertical(narrow, *vertical.shifted(first), out)
    return out


def normalise(image: U8, mean: F32, std: F32, out: F32 | None = None) -> F32:
    """Turn uint8[H,W,3] into float32[3,H,W]: (x − mean) / std per channel.

    `mean` and `std` are float32[3] in units of 0..255. The quotient is computed in double and rounded once to
    float32, for each of the 256 values a byte can have; pixels then look it up. Raises ArgumentError.
    """
    checks.array("image", image, np.uint8, ("H", "W", 3))
    checks.array("mean", mean, np.float32, (3,))
    checks.array("std", std, np.float32, (3,))
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise ArgumentError(f"mean, std: {mean} and {std}, need finite means and positive deviations")
    height, width = image.shape[:2]
    result: F32 = checks.output("out", out, np.float32, (3, height, width))
    levels = np.arange(256, dtype=np.float64) - mean[:, None].astype(np.float64)
    table = (levels / std[:, None].astype(np.float64)).astype(np.float32)
    dispatch.active.normalise(image, table, result)
    return result
