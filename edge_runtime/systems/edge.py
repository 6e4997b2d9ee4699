"""The device's own models: what they see in a frame, and the answer a whole one would give alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime import kernels
from edge_runtime.models import Bundle, open_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.messages import Frame
    from edge_runtime.models import ModelSpec
    from edge_runtime.models.bundle import Precision, Runtime


class Seen(NamedTuple):
    """What the device's model saw: float32 ``logits [classes]`` and ``attention``.

    ``attention`` is the class-token row of the last layer, ``[heads, tokens]``, or every matrix,
    ``[layers, heads, tokens, tokens]``, as the model's file declares.
    """

    logits: NDArray[np.float32]
    attention: NDArray[np.float32]


class _FrameModel:
    """An edge model of a bundle, loaded, with its preprocessing."""

    def __init__(
        self,
        bundle: Bundle,
        name: str = "",
        *,
        runtime: Runtime | None = None,
        precision: Precision | None = None,
        threads: int = 1,
    ) -> None:
        self.spec: ModelSpec = bundle.model("edge", name)
        self.frame = bundle.frame
        self._model = open_model(bundle, self.spec, runtime, precision, threads)
        self._mean = np.array(self.spec.mean, np.float32)
        self._std = np.array(self.spec.std, np.float32)
        self._image = np.empty((1, 3, bundle.frame.size, bundle.frame.size), np.float32)

    @property
    def runtime(self) -> str:
        """Name of the runtime that runs the model."""
        return self._model.runtime

    def _run(self, frame: Frame) -> dict[str, NDArray[Any]]:
        kernels.normalise(frame.pixels, self._mean, self._std, out=self._image[0])
        return self._model.run({"image": self._image})


class EdgeModel(_FrameModel):
    """A model that could answer alone."""

    def see(self, frame: Frame) -> Seen:
        """Run the model on a frame of the bundle's size."""
        outputs = self._run(frame)
        return Seen(outputs["logits"][0], outputs["attention"][0])


class PrefixModel(_FrameModel):
    """The first part of a network, up to one cut (kind ``cnn-prefix``); ``name`` is a cut's ``prefix``."""

    def features(self, frame: Frame) -> NDArray[np.float32]:
        """The cut's tensor for a frame of the bundle's size, float32 ``[C, H, W]`` or ``[C]``."""
        features: NDArray[np.float32] = self._run(frame)["features"][0]
        return features
