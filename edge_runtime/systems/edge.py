"""The device's own models: what they see in a frame, and the answer a whole one would give alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, BundleError
from edge_runtime.models import Bundle, open_model
from edge_runtime.models.execution import DEFAULT_EXECUTION, Execution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.messages import Frame
    from edge_runtime.models import ModelSpec
    from edge_runtime.models.bundle import Kind, Precision


class Seen(NamedTuple):
    """What the device's model saw: float32 ``logits [classes]`` and ``attention``.

    ``attention`` is the class-token row of the last layer, ``[heads, tokens]``, or every matrix,
    ``[layers, heads, tokens, tokens]``, as the model's file declares.
    """

    logits: NDArray[np.float32]
    attention: NDArray[np.float32]


class _FrameModel:
    """An edge model of a bundle, loaded, with its preprocessing; not to be shared between threads.

    Frames are of the bundle's size. Several are one run where the file takes any number, else one after another.
    Raises BundleError, also for a model of another ``kind``, and ModelError.
    """

    kind: ClassVar[Kind]

    def __init__(
        self,
        bundle: Bundle,
        name: str = "",
        execution: Execution = DEFAULT_EXECUTION,
    ) -> None:
        self.spec: ModelSpec = bundle.model("edge", name)
        if self.spec.kind != self.kind:
            known = ", ".join(model.name for model in bundle.models("edge") if model.kind == self.kind) or "none"
            raise BundleError(
                f"{bundle.folder}: {self.spec.name} is {self.spec.kind}, not {self.kind}; of these it has {known}"
            )
        self.frame = bundle.frame
        self._model = open_model(bundle, self.spec, execution)
        self._mean = np.array(self.spec.mean, np.float32)
        self._std = np.array(self.spec.std, np.float32)
        self._images = np.empty((1, 3, bundle.frame.size, bundle.frame.size), np.float32)

    @property
    def runtime(self) -> str:
        """Name of the runtime that runs the model."""
        return self._model.runtime

    @property
    def precision(self) -> Precision:
        """Precision of the file that was opened."""
        return self._model.file.precision

    def _run(self, frames: Sequence[Frame]) -> dict[str, NDArray[Any]]:
        """Every output, ``[len(frames), ...]``, in memory of its own."""
        if not frames:
            raise ArgumentError("frames: none given, give one or more")
        together = len(frames) if self._model.file.inputs[0].shape[0] == -1 else 1
        runs = [self._run_once(frames[first : first + together]) for first in range(0, len(frames), together)]
        if len(runs) == 1:
            return runs[0]
        return {name: np.concatenate([outputs[name] for outputs in runs]) for name in runs[0]}

    def _run_once(self, frames: Sequence[Frame]) -> dict[str, NDArray[Any]]:
        if len(frames) > len(self._images):
            self._images = np.empty((len(frames), *self._images.shape[1:]), np.float32)
        images = self._images[: len(frames)]
        for frame, image in zip(frames, images, strict=True):
            kernels.normalise(frame.pixels, self._mean, self._std, out=image)
        return self._model.run({"image": images})


class WholeModel(_FrameModel):
    """A whole convolutional network (kind ``cnn-whole``), which answers alone."""

    kind: ClassVar[Kind] = "cnn-whole"

    def logits(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """Logits float32 ``[len(frames), classes]``; ArgumentError for no frames."""
        logits: NDArray[np.float32] = self._run(frames)["logits"]
        return logits


class EdgeModel(WholeModel):
    """A transformer (kind ``vit-attention``), which answers alone and says what it attended to."""

    kind: ClassVar[Kind] = "vit-attention"

    def see(self, frame: Frame) -> Seen:
        """Logits and attention of one frame."""
        outputs = self._run([frame])
        return Seen(outputs["logits"][0], outputs["attention"][0])


class PrefixModel(_FrameModel):
    """The first part of a network, up to one cut (kind ``cnn-prefix``); ``name`` is a cut's ``prefix``."""

    kind: ClassVar[Kind] = "cnn-prefix"

    def features(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """The cut's tensor float32 ``[len(frames), C, H, W]`` or ``[len(frames), C]``; ArgumentError for no frames."""
        features: NDArray[np.float32] = self._run(frames)["features"]
        return features
