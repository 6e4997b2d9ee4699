"""The device's own model: what it sees in a frame, and the answer it would give alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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


class EdgeModel:
    """The edge model of a bundle, loaded, with its preprocessing."""

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

    def see(self, frame: Frame) -> Seen:
        """Run the model on a frame of the bundle's size."""
        kernels.normalise(frame.pixels, self._mean, self._std, out=self._image[0])
        outputs = self._model.run({"image": self._image})
        return Seen(outputs["logits"][0], outputs["attention"][0])
