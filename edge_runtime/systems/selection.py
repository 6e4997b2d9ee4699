"""Gate and patch selection by the bundle's rule: the fused kernel where it serves, its parts where it does not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError
from edge_runtime.kernels import CumulativeSum, Decision, Gate, Threshold, TopK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.models.bundle import FrameSpec, GateSpec
    from edge_runtime.systems.edge import Seen

SCORE = re.compile(r"rollout(?:\[(\d*):(\d*)\])?")


class Selection:
    """Decides about frames of one size by one ``GateSpec``; one instance serves one thread."""

    def __init__(self, gate: GateSpec, frame: FrameSpec) -> None:
        self.gate = gate
        self.frame = frame
        self._fused: Gate | None = None

    def __call__(self, seen: Seen, pixels: NDArray[np.uint8]) -> Decision:
        """Gate and select; the result's arrays are valid until the next call."""
        if self.gate.score == "last" and self.gate.rule != "random" and seen.attention.ndim == 2:
            return self._gate(seen)(seen.logits, seen.attention, pixels)
        return self._composed(seen, pixels)

    def _gate(self, seen: Seen) -> Gate:
        if self._fused is None:
            self._fused = Gate(
                classes=len(seen.logits),
                heads=len(seen.attention),
                image=(self.frame.size, self.frame.size),
                patch=self.frame.patch,
                eta=self.gate.eta,
                measure=measure(self.gate),
                rule=_rule(self.gate),
            )
        return self._fused

    def _composed(self, seen: Seen, pixels: NDArray[np.uint8]) -> Decision:
        doubt = kernels.uncertainty(seen.logits)
        value = getattr(doubt, measure(self.gate))
        local = value > self.gate.eta if self.gate.uncertainty == "margin" else value < self.gate.eta
        scores = patch_scores(seen.attention, self.gate.score)
        indices = select(scores, self.gate.rule, self.gate.delta)[: 0 if local else None]
        bitmap = kernels.pack_bitmap(indices, len(scores))
        patches = kernels.gather(pixels, indices, self.frame.patch)
        return Decision(local, doubt, indices, bitmap, patches, scores)


def measure(gate: GateSpec) -> Literal["min_entropy", "shannon", "margin"]:
    """The kernels' name of the gate's uncertainty."""
    return "min_entropy" if gate.uncertainty == "min-entropy" else gate.uncertainty


def patch_scores(attention: NDArray[np.float32], score: str) -> NDArray[np.float32]:
    """Scores float32 ``[patches]`` of one frame's attention: ``last``, ``rollout`` or ``rollout[first:end]``.

    Rollout needs every layer's matrices, ``[layers, heads, tokens, tokens]``; ``last`` takes those as well as the
    class-token row ``[heads, tokens]``.
    """
    if score == "last":
        row = attention if attention.ndim == 2 else np.ascontiguousarray(attention[-1, :, 0])
        return kernels.class_attention(row)
    match = SCORE.fullmatch(score)
    if match is None:
        raise ArgumentError(f"score: {score!r} is unknown, use last, rollout or rollout[FIRST:END]")
    if attention.ndim != 4:
        raise ArgumentError("score: rollout needs every layer, use an edge model exported with all_layers")
    first, end = (int(bound) if bound else None for bound in match.groups())
    return kernels.rollout(attention, slice(first, end))


def select(scores: NDArray[np.float32], rule: str, amount: float, seed: int = 0) -> NDArray[np.uint16]:
    """Indices by rule; ``amount`` is a share (sum), a score (threshold) or a number of patches (top-k, random)."""
    if rule == "sum":
        return kernels.select_sum(scores, amount)
    if rule == "threshold":
        return kernels.select_threshold(scores, amount)
    if rule == "top-k":
        return kernels.select_top_k(scores, int(amount))
    return kernels.select_random(len(scores), int(amount), seed)


def _rule(gate: GateSpec) -> CumulativeSum | Threshold | TopK:
    if gate.rule == "sum":
        return CumulativeSum(gate.delta)
    if gate.rule == "threshold":
        return Threshold(gate.delta)
    return TopK(int(gate.delta))
