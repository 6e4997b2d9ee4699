"""Patches out of a picture and back, and the bitmap that says which.

A picture is uint8[H,W,3] with sides that are multiples of `patch`; patches are numbered row by row. Source: the
14 × 14 grid of 16-pixel patches of a vision transformer at 224 pixels; any grid of up to 65536 patches works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.errors import ArgumentError
from edge_runtime.kernels import checks, dispatch

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import U8, U16


def patch_count(height: int, width: int, patch: int) -> int:
    """Number of patches of a picture; raises ArgumentError when the sides are not multiples of `patch`."""
    checks.integer("patch", patch, 1, max(height, width))
    if height % patch or width % patch:
        raise ArgumentError(f"image: {height} × {width} is not a multiple of patch {patch}, resize it")
    count = (height // patch) * (width // patch)
    checks.integer("number of patches", count, 1, checks.MAX_PATCHES)
    return count


def gather(image: U8, indices: U16, patch: int = 16, out: U8 | None = None) -> U8:
    """Copy patches out of a picture: uint8[k,patch,patch,3] in the order of indices uint16[k].

    k may be 0. Raises ArgumentError, also for an index beyond the grid.
    """
    checks.array("image", image, np.uint8, ("H", "W", 3))
    count = patch_count(image.shape[0], image.shape[1], patch)
    _check_indices(indices)
    result: U8 = checks.output("out", out, np.uint8, (len(indices), patch, patch, 3))
    if dispatch.active.gather(image, indices, patch, result) < 0:
        checks.refuse_indices(indices, count)
    return result


def scatter(patches: U8, indices: U16, image: U8) -> None:
    """Write patches uint8[k,p,p,3] into the picture, in place; with a repeated index the last one stays.

    Raises ArgumentError with the picture untouched.
    """
    _check_indices(indices)
    if not isinstance(patches, np.ndarray) or patches.ndim != 4:
        checks.array("patches", patches, np.uint8, (len(indices), "p", "p", 3))
    patch = patches.shape[1]
    checks.array("patches", patches, np.uint8, (len(indices), patch, patch, 3))
    checks.array("image", image, np.uint8, ("H", "W", 3))
    checks.output("image", image, np.uint8, image.shape)
    count = patch_count(image.shape[0], image.shape[1], patch)
    if dispatch.active.scatter(patches, indices, image) < 0:
        checks.refuse_indices(indices, count)


def pack_bitmap(indices: U16, count: int) -> U8:
    """Bitmap uint8[⌈count/8⌉] of strictly ascending indices: bit i%8 of byte i//8 says patch i is there.

    Raises ArgumentError.
    """
    checks.integer("count", count, 1, checks.MAX_PATCHES)
    _check_indices(indices)
    out = np.empty((count + 7) // 8, np.uint8)
    if dispatch.active.pack_bitmap(indices, count, out) < 0:
        checks.refuse_indices(indices, count)
    return out


def unpack_bitmap(bits: U8, count: int) -> U16:
    """Ascending indices of the set bits. Raises ArgumentError, also when a bit at or beyond `count` is set."""
    checks.integer("count", count, 1, checks.MAX_PATCHES)
    checks.array("bits", bits, np.uint8, ((count + 7) // 8,))
    out = np.empty(count, np.uint16)
    kept = dispatch.active.unpack_bitmap(bits, count, out)
    if kept < 0:
        raise ArgumentError(f"bits: last byte {bits[-1]:#04x} sets bits beyond patch {count - 1}, they must be zero")
    return out[:kept]


def _check_indices(indices: U16) -> None:
    if isinstance(indices, np.ndarray) and indices.size == 0:
        checks.array("indices", indices, np.uint16, (0,))
    else:
        checks.array("indices", indices, np.uint16, ("k",))
