"""Which of the missing patches a server asks for.

Those that the classifier attended to most although they were only recovered, and, with a weight, those whose recovery
is doubtful: reconstruction of what A-MOT (Liu et al., ACM TOSN 2024) might do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray


def wanted_patches(
    attention: NDArray[np.float32],
    patches: NDArray[np.float32],
    visible: NDArray[np.uint16],
    count: int,
    uncertainty_weight: float = 0.0,
) -> NDArray[np.uint16]:
    """Uint16 ``[k]``, ascending: at most ``count`` of the patches that are not ``visible``, of which there are some.

    ``attention`` is the class token's row of the last layer, float32 ``[heads, 1 + n]``, ``patches`` float32
    ``[n, 3, p, p]`` the picture, recovered where it is not visible, n a square number. Raises ArgumentError for
    attention that is none.
    """
    scores = kernels.class_attention(np.ascontiguousarray(attention))
    missing = np.setdiff1d(np.arange(len(scores), dtype=np.uint16), visible)
    if uncertainty_weight > 0:
        doubt = uncertainty_weight * recovery_uncertainty(patches, visible, missing)
        # Divided by the largest factor there may be, scores stay scores.
        scores[missing] *= (1 + doubt) / (1 + uncertainty_weight)
    return missing[kernels.select_top_k(scores[missing], min(count, len(missing)))]


def recovery_uncertainty(
    patches: NDArray[np.float32], visible: NDArray[np.uint16], missing: NDArray[np.uint16]
) -> NDArray[np.float32]:
    """How far each missing patch's mean colour is from that of the visible patches nearest to it: ``[k]`` in 0..1.

    A recovery that merely continues its surroundings is likely to be right. Distances are those of a king on the grid;
    colours differ by the mean absolute difference of their channels, relative to the largest one found.
    """
    colours = patches.mean(axis=(2, 3))
    side = round(len(patches) ** 0.5)
    places = np.stack(np.divmod(np.arange(len(patches)), side), axis=1)
    distances = np.abs(places[missing, None] - places[None, visible]).max(axis=2)
    nearest = distances == distances.min(axis=1, keepdims=True)
    around = nearest @ colours[visible] / nearest.sum(axis=1, keepdims=True)
    difference = np.abs(colours[missing] - around).mean(axis=1)
    largest = difference.max()
    relative: NDArray[np.float32] = (difference / largest if largest > 0 else difference).astype(np.float32)
    return relative
