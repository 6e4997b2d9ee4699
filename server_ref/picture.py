"""What a server knows of a frame: patches, and where they belong."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Picture(NamedTuple):
    """``indices`` uint16 ``[k]``, ascending, counted row by row, and ``patches`` uint8 ``[k, p, p, 3]``.

    A whole image is all of its patches.
    """

    indices: NDArray[np.uint16]
    patches: NDArray[np.uint8]


def merge(one: Picture, other: Picture) -> Picture:
    """What two pictures of a frame show together; they have no patch in common."""
    indices = np.concatenate([one.indices, other.indices])
    order = np.argsort(indices)
    return Picture(indices[order], np.concatenate([one.patches, other.patches])[order])


def paste(patches: NDArray[np.float32], indices: NDArray[np.uint16], image: NDArray[np.float32]) -> None:
    """Put normalised patches ``[k, 3, p, p]`` in their places of an ``image [1, 3, size, size]``, which is changed."""
    patch = patches.shape[-1]
    side = image.shape[-1] // patch
    # The same memory as [row, column, channel, y, x]: one patch per (row, column).
    by_patch = image.reshape(3, side, patch, side, patch).transpose(1, 3, 0, 2, 4)
    by_patch[np.divmod(indices, side)] = patches
