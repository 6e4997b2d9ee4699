"""A device whose model sees what the test wants it to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.messages import Frame
from edge_runtime.models.bundle import FrameSpec, GateSpec
from edge_runtime.systems.edge import Seen

if TYPE_CHECKING:
    from collections.abc import Sequence

FRAME = FrameSpec(size=64, patch=16)


class ScriptedEdge:
    """Stands where an ``EdgeModel`` does: three classes, two heads, 4 × 4 patches."""

    frame = FRAME

    def __init__(self, top_logit: float) -> None:
        attention = np.random.default_rng(0).random((2, 17), np.float32)
        self.seen = Seen(np.array([0.0, top_logit, 0.0], np.float32), attention / attention.sum(1, keepdims=True))

    def logits(self, frames: Sequence[Frame]) -> np.ndarray:
        """The scripted logits, once per frame."""
        return np.stack([self.see(frame).logits for frame in frames])

    def see(self, frame: Frame) -> Seen:
        """The scripted output."""
        assert frame.pixels.shape == (64, 64, 3)
        return self.seen


@pytest.fixture
def sure() -> ScriptedEdge:
    """A device that is almost certain of class 1."""
    return ScriptedEdge(top_logit=12.0)


@pytest.fixture
def unsure() -> ScriptedEdge:
    """A device that barely prefers class 1."""
    return ScriptedEdge(top_logit=0.5)


@pytest.fixture
def gate() -> GateSpec:
    """Raw patches, so that what was sent can be read back exactly."""
    return GateSpec(eta=0.8, delta=0.5, patch_codec="raw")


@pytest.fixture
def frame() -> Frame:
    """A frame of noise."""
    return Frame(7, np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.fixture
def frames() -> list[Frame]:
    """Three frames of red, green and blue noise, which the tiny cut network tells apart."""
    noise = np.random.default_rng(2).integers(0, 256, (3, 64, 64, 3))
    return [Frame(20 + i, (noise[i] * (0.3 + 0.7 * np.eye(3)[i])).astype(np.uint8)) for i in range(3)]
