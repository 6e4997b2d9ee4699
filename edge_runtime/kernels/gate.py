"""The hot path in one call: is the device sure, and if not, which patches leave it.

uncertainty → gate → class attention → selection → bitmap → packed patches, into buffers made once. The bytes are
those of calling the separate kernels. Source: Im et al., "Attention-aware semantic communications", figure 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from edge_runtime.errors import ArgumentError
from edge_runtime.kernels import checks, dispatch
from edge_runtime.kernels.entropy import Uncertainty
from edge_runtime.kernels.interface import GateBuffers, GatePlan, Measure, Rule, Status
from edge_runtime.kernels.patches import patch_count

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import F32, U8, U16


@dataclass(frozen=True)
class TopK:
    """Send the k best patches."""

    k: int


@dataclass(frozen=True)
class Threshold:
    """Send patches with a score of at least delta."""

    delta: float


@dataclass(frozen=True)
class CumulativeSum:
    """Send the best patches until their scores sum to more than delta; see `select_sum`."""

    delta: float = 0.97
    include_crossing: bool = True


class Decision(NamedTuple):
    """What the gate decided about one frame.

    indices uint16[k], bitmap uint8[⌈n/8⌉], patches uint8[k,p,p,3] and scores float32[n] are views of the gate's
    buffers: valid until its next call. When `local` they are empty.
    """

    local: bool
    uncertainty: Uncertainty
    indices: U16
    bitmap: U8
    patches: U8
    scores: F32


_CACHE_LINE = 64
_F32, _U8 = np.dtype(np.float32), np.dtype(np.uint8)
_MEASURES = {"min_entropy": Measure.MIN_ENTROPY, "shannon": Measure.SHANNON, "margin": Measure.MARGIN}


class Gate:
    """Gate, selection and packing for one model and one picture size.

    A frame stays local when min-entropy or Shannon entropy (bits) is below `eta`, or when the margin is above it.
    Calls reuse the same buffers, so one gate serves one thread. Raises ArgumentError.
    """

    def __init__(
        self,
        *,
        classes: int,
        heads: int,
        image: tuple[int, int] = (224, 224),
        patch: int = 16,
        eta: float = 0.8,
        measure: Literal["min_entropy", "shannon", "margin"] = "min_entropy",
        rule: TopK | Threshold | CumulativeSum = CumulativeSum(),
    ) -> None:
        checks.integer("classes", classes, 1, 2**31 - 1)
        checks.integer("heads", heads, 1, 2**16)
        checks.finite("eta", eta)
        if measure not in _MEASURES:
            raise ArgumentError(f"measure: {measure!r} is unknown, use min_entropy, shannon or margin")
        count = patch_count(*image, patch)
        kind, k, delta, include_crossing = _rule(rule, count)
        plan = GatePlan(
            classes, heads, count + 1, *image, patch, _MEASURES[measure], kind, include_crossing, k, eta, delta
        )
        self._shapes = (classes,), (heads, count + 1), (*image, 3)
        indices, bitmap = np.zeros(count, np.uint16), np.zeros((count + 7) // 8, np.uint8)
        patches, scores = _whole_lines((count, patch, patch, 3)), np.zeros(count, np.float32)
        self._outputs = indices, bitmap, patches, scores
        self._nothing = indices[:0], bitmap[:0], patches[:0], scores[:0]
        self._bind = dispatch.active.gate(plan, GateBuffers(scores, indices, bitmap, patches))
        self._inputs: tuple[F32 | None, F32 | None, U8 | None] = (None, None, None)

    def __call__(self, logits: F32, attention: F32, image: U8) -> Decision:
        """Decide about one frame.

        logits float32[classes], attention float32[heads, tokens] (the class token's row of the last layer),
        image uint8[H,W,3]. Arrays that come again, with new contents, are not checked and wrapped again; the last
        ones are held until others come. Raises ArgumentError.
        """
        last = self._inputs
        if logits is not last[0] or attention is not last[1] or image is not last[2]:
            self._prepare(logits, attention, image)
        kept, min_entropy, shannon, margin, label, local = self._run()
        uncertainty = Uncertainty(min_entropy, shannon, margin, label)
        if local:
            return Decision(True, uncertainty, *self._nothing)
        if kept < 0:
            self._refuse(kept, logits, attention)
        indices, bitmap, patches, scores = self._outputs
        return Decision(False, uncertainty, indices[:kept], bitmap, patches[:kept], scores)

    def _prepare(self, logits: F32, attention: F32, image: U8) -> None:
        of_logits, of_attention, of_image = self._shapes
        if not (
            checks.fits(logits, _F32, of_logits)
            and checks.fits(attention, _F32, of_attention)
            and checks.fits(image, _U8, of_image)
        ):
            checks.array("logits", logits, _F32, of_logits)
            checks.array("attention", attention, _F32, of_attention)
            checks.array("image", image, _U8, of_image)
        self._run = self._bind(logits, attention, image)
        self._inputs = logits, attention, image

    def _refuse(self, status: int, logits: F32, attention: F32) -> None:
        if status == Status.BAD_LOGITS:
            checks.refuse_logits(logits)
        if status == Status.BAD_SCORES:
            raise ArgumentError("attention: holds negative values, pass the softmax output of the layer")
        checks.refuse_attention(attention)


def _whole_lines(shape: tuple[int, ...]) -> U8:
    """Zeros that begin with a cache line: wide stores that straddle two lines cost double."""
    size = math.prod(shape)
    memory = np.zeros(size + _CACHE_LINE, np.uint8)
    start: int = -memory.__array_interface__["data"][0] % _CACHE_LINE
    return memory[start : start + size].reshape(shape)


def _rule(rule: TopK | Threshold | CumulativeSum, count: int) -> tuple[Rule, int, float, bool]:
    """(kind, k, delta, include_crossing), checked."""
    if isinstance(rule, TopK):
        checks.integer("rule.k", rule.k, 1, count)
        return Rule.TOP_K, rule.k, 0.0, True
    checks.share("rule.delta", rule.delta)
    if isinstance(rule, Threshold):
        return Rule.THRESHOLD, 0, rule.delta, True
    return Rule.SUM, 0, rule.delta, rule.include_crossing
