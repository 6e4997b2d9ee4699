"""Gate and selection by the bundle's rule."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError
from edge_runtime.messages import Frame
from edge_runtime.models.bundle import GateSpec
from edge_runtime.systems.edge import Seen
from edge_runtime.systems.selection import Selection, patch_scores, select


@pytest.mark.parametrize(("rule", "amount"), [("sum", 0.7), ("threshold", 0.06), ("top-k", 5)])
@pytest.mark.parametrize("uncertainty", ["min-entropy", "shannon", "margin"])
def test_the_fused_kernel_decides_as_its_parts_do(
    unsure: Any, gate: GateSpec, frame: Frame, rule: str, amount: float, uncertainty: str
) -> None:
    """Every rule and uncertainty gives the same decision by the fused call and by composing the kernels."""
    spec = msgspec.structs.replace(gate, rule=rule, delta=amount, uncertainty=uncertainty)
    fused, composed = Selection(spec, unsure.frame), Selection(spec, unsure.frame)
    one, two = fused(unsure.seen, frame.pixels), composed._composed(unsure.seen, frame.pixels)
    assert one.local == two.local
    assert one.uncertainty == two.uncertainty
    assert one.indices.tolist() == two.indices.tolist()
    assert np.array_equal(one.patches, two.patches)


def test_random_selection_needs_no_attention(unsure: Any, gate: GateSpec, frame: Frame) -> None:
    """The random rule sends as many patches as it was told."""
    spec = msgspec.structs.replace(gate, rule="random", delta=6)
    assert len(Selection(spec, unsure.frame)(unsure.seen, frame.pixels).indices) == 6


def test_rollout_reads_the_layers_it_is_given() -> None:
    """``rollout[1:3]`` is the rollout of the second and third layer."""
    attention = np.random.default_rng(0).random((3, 2, 5, 5), np.float32)
    assert np.array_equal(kernels.rollout(attention, slice(1, 3)), patch_scores(attention, "rollout[1:3]"))
    assert np.array_equal(kernels.rollout(attention, slice(None, None)), patch_scores(attention, "rollout"))


def test_the_last_layers_class_row_is_found_in_all_layers() -> None:
    """A model that reports every layer scores ``last`` as one that reports the row."""
    attention = np.random.default_rng(0).random((3, 2, 5, 5), np.float32)
    row = np.ascontiguousarray(attention[-1, :, 0])
    assert np.array_equal(patch_scores(row, "last"), patch_scores(attention, "last"))


@pytest.mark.parametrize(
    ("score", "shape", "said"), [("best", (2, 5), "'best' is unknown"), ("rollout", (2, 5), "needs every layer")]
)
def test_a_score_that_cannot_be_had_is_named(score: str, shape: tuple[int, ...], said: str) -> None:
    """An unknown score, or rollout from a model without layers, is one precise error."""
    with pytest.raises(ArgumentError, match=said):
        patch_scores(np.ones(shape, np.float32), score)


def test_a_gate_that_keeps_the_frame_selects_nothing(sure: Any, gate: GateSpec, frame: Frame) -> None:
    """Both ways of deciding leave indices and patches empty when the device is sure."""
    for spec in (gate, msgspec.structs.replace(gate, rule="random", delta=3)):
        decision = Selection(spec, sure.frame)(Seen(sure.seen.logits, sure.seen.attention), frame.pixels)
        assert (decision.local, len(decision.indices), len(decision.patches)) == (True, 0, 0)


def test_selection_by_rule_is_the_kernels_own() -> None:
    """``select`` only names the kernels."""
    scores = np.array([0.1, 0.4, 0.2, 0.3], np.float32)
    assert select(scores, "top-k", 2).tolist() == [1, 3]
    assert select(scores, "threshold", 0.2).tolist() == [1, 2, 3]
    assert select(scores, "sum", 0.5).tolist() == [1, 3]
    assert kernels.select_random(4, 2, 9).tolist() == select(scores, "random", 2, seed=9).tolist()
