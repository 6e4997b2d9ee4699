"""The device alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime import kernels
from edge_runtime.messages import Answer
from edge_runtime.systems.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.messages import Frame
    from edge_runtime.systems import BatchInference, Inference


class Classifier(Protocol):
    """Whatever answers alone: a ``WholeModel`` or an ``EdgeModel``."""

    def logits(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """Logits float32 ``[len(frames), classes]``."""


class Local:
    """Answers every frame with the device's model and sends nothing."""

    name = "local"

    def __init__(self, edge: Classifier) -> None:
        self.edge = edge

    def infer(self, frame: Frame) -> Inference:
        """Return the device's answer."""
        (answer,) = yield from self.infer_batch([frame])
        return answer

    def infer_batch(self, frames: Sequence[Frame]) -> BatchInference:
        """Return the device's answers, in the frames' order."""
        yield from ()  # a generator like every other system, though it asks nothing
        stages = Stages()
        with stages("edge"):
            logits = self.edge.logits(frames)
        return [_answer(row, stages.taken_ms) for row in logits]


def _answer(logits: NDArray[np.float32], timings_ms: Mapping[str, float]) -> Answer:
    doubt = kernels.uncertainty(logits)
    return Answer(kernels.softmax(logits), doubt.label, "edge", doubt.min_entropy, timings_ms=timings_ms)
