"""From pixels to a model's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.models import ModelSpec


class Normaliser:
    """uint8 ``[k, p, p, 3]`` to float32 ``[k, 3, p, p]`` with a model's mean and standard deviation."""

    def __init__(self, spec: ModelSpec) -> None:
        self._mean = np.array(spec.mean, np.float32)
        self._std = np.array(spec.std, np.float32)

    def __call__(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Normalise; a patch's values are channel by channel."""
        count, patch = patches.shape[:2]
        # Stacked on top of each other the patches are one picture for the kernel.
        planes = kernels.normalise(patches.reshape(count * patch, patch, 3), self._mean, self._std)
        return planes.reshape(3, count, patch, patch).transpose(1, 0, 2, 3)
