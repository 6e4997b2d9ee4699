"""What a server knows of a frame: patches, and where they belong."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Picture(NamedTuple):
    """``indices`` uint16 ``[k]``, ascending, counted row by row, and ``patches`` uint8 ``[k, p, p, 3]``.

    A whole image is all of its patches.
    """

    indices: NDArray[np.uint16]
    patches: NDArray[np.uint8]
