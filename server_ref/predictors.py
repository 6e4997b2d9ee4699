"""From a picture to probabilities: one predictor per kind of server model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edge_runtime.models import Model, ModelSpec
    from server_ref.picture import Picture


class Predictor(Protocol):
    """Answers one picture at a time; never called by two threads at once."""

    def predict(self, picture: Picture) -> NDArray[np.float32]:
        """Probabilities float32 ``[classes]``."""


class VitPredictor:
    """A vision transformer that looks at the received tokens only (kind ``vit-tokens``)."""

    def __init__(self, model: Model, spec: ModelSpec) -> None:
        self._model = model
        self._normalise = _Normaliser(spec)

    def predict(self, picture: Picture) -> NDArray[np.float32]:
        """Probabilities float32 ``[classes]``."""
        tokens = self._normalise(picture.patches)
        inputs: dict[str, NDArray[Any]] = {
            "patches": np.ascontiguousarray(tokens).reshape(1, len(tokens), -1),
            "positions": picture.indices.astype(np.int64)[np.newaxis],
        }
        return _probabilities(self._model, inputs)


class CnnPredictor:
    """A network on whole images that was trained with missing patches (kind ``cnn-filled``).

    What is missing is filled with the model's mean, which is zero once normalised.
    """

    def __init__(self, model: Model, spec: ModelSpec, frame_size: int) -> None:
        self._model = model
        self._normalise = _Normaliser(spec)
        self._frame_size = frame_size

    def predict(self, picture: Picture) -> NDArray[np.float32]:
        """Probabilities float32 ``[classes]``."""
        patch = picture.patches.shape[1]
        side = self._frame_size // patch
        image = np.zeros((1, 3, self._frame_size, self._frame_size), np.float32)
        # The same memory as [row, column, channel, y, x]: one patch per (row, column).
        by_patch = image.reshape(3, side, patch, side, patch).transpose(1, 3, 0, 2, 4)
        by_patch[np.divmod(picture.indices, side)] = self._normalise(picture.patches)
        return _probabilities(self._model, {"image": image})


def _probabilities(model: Model, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    logits = model.run(inputs)["logits"][0]
    try:
        return kernels.softmax(logits)
    except ArgumentError as error:
        raise ModelError(f"the model's output is no answer: {error}") from None


class _Normaliser:
    """uint8 ``[k, p, p, 3]`` to float32 ``[k, 3, p, p]`` with a model's mean and standard deviation."""

    def __init__(self, spec: ModelSpec) -> None:
        self._mean = np.array(spec.mean, np.float32)
        self._std = np.array(spec.std, np.float32)

    def __call__(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        count, patch = patches.shape[:2]
        # Stacked on top of each other the patches are one picture for the kernel.
        planes = kernels.normalise(patches.reshape(count * patch, patch, 3), self._mean, self._std)
        return planes.reshape(3, count, patch, patch).transpose(1, 0, 2, 3)
