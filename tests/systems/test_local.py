"""The device alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_runtime.errors import ArgumentError
from edge_runtime.systems.edge import WholeModel
from edge_runtime.systems.local import Local

if TYPE_CHECKING:
    from edge_runtime.messages import Frame
    from edge_runtime.models import Bundle


def finished(inference: Any) -> Any:
    """What a system that asks nobody returns."""
    with pytest.raises(StopIteration) as stop:
        next(inference)
    return stop.value.value


def test_it_asks_nobody(split_bundle: Bundle, frames: list[Frame]) -> None:
    """The answer is the model's: label, probabilities and doubt, and the only stage is the device's."""
    answer = finished(Local(WholeModel(split_bundle, "net")).infer(frames[1]))
    assert (answer.decided_by, answer.label, answer.payload_bytes) == ("edge", 1, 0)
    assert answer.probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert answer.min_entropy == pytest.approx(-np.log2(answer.probabilities[1]), abs=1e-5)
    assert list(answer.timings_ms) == ["edge"]


def test_a_batch_is_answered_as_its_frames_are(split_bundle: Bundle, frames: list[Frame]) -> None:
    """In their order, and every answer has the batch's stage times."""
    system = Local(WholeModel(split_bundle, "net"))
    together = finished(system.infer_batch(frames))
    alone = [finished(system.infer(frame)) for frame in frames]
    assert [answer.label for answer in together] == [answer.label for answer in alone] == [0, 1, 2]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)
        assert one.timings_ms == together[0].timings_ms


def test_no_frames_are_no_batch(split_bundle: Bundle) -> None:
    """They are an error."""
    with pytest.raises(ArgumentError, match="frames: none given, give one or more"):
        next(Local(WholeModel(split_bundle, "net")).infer_batch([]))
