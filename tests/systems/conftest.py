"""A device whose model sees what the test wants it to see."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.messages import Frame
from edge_runtime.models.bundle import FrameSpec, GateSpec
from edge_runtime.systems.edge import Seen

FRAME = FrameSpec(size=64, patch=16)


class ScriptedEdge:
    """Stands where an ``EdgeModel`` does: three classes, two heads, 4 × 4 patches."""

    frame = FRAME

    def __init__(self, top_logit: float) -> None:
        attention = np.random.default_rng(0).random((2, 17), np.float32)
        self.seen = Seen(np.array([0.0, top_logit, 0.0], np.float32), attention / attention.sum(1, keepdims=True))

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
