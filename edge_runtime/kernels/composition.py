"""The fused gate as a composition of a backend's own kernels, for backends that do not fuse it themselves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from edge_runtime.kernels.interface import Measure, Rule, Status

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import F32, U8, Backend, GateBinder, GateBuffers, GateOutcome, GatePlan


def compose_gate(backend: Backend, plan: GatePlan, buffers: GateBuffers) -> GateBinder:
    """A gate that calls the kernels of `backend` one after the other."""
    scores, indices = buffers.scores, buffers.indices

    def confident(min_entropy: float, shannon: float, margin: float) -> bool:
        if plan.measure is Measure.MARGIN:
            return margin > plan.eta
        return (min_entropy if plan.measure is Measure.MIN_ENTROPY else shannon) < plan.eta

    def select() -> int:
        if plan.rule is Rule.TOP_K:
            return backend.select_top_k(scores, plan.k, indices)
        if plan.rule is Rule.THRESHOLD:
            return backend.select_threshold(scores, plan.delta, indices)
        return backend.select_sum(scores, plan.delta, plan.include_crossing, indices)

    def send(attention: F32, image: U8) -> int:
        status = backend.class_attention(attention, scores)
        kept = select() if status == Status.OK else status
        if kept > 0:
            backend.pack_bitmap(indices[:kept], len(scores), buffers.bitmap)
            backend.gather(image, indices[:kept], plan.patch, buffers.patches[:kept])
        return kept

    def decide(logits: F32, attention: F32, image: U8) -> GateOutcome:
        label, min_entropy, shannon, margin = backend.uncertainty(logits)
        if label < 0:
            return label, 0.0, 0.0, 0.0, 0, False
        local = confident(min_entropy, shannon, margin)
        kept = 0 if local else send(attention, image)
        return kept, min_entropy, shannon, margin, label, local

    return lambda *inputs: partial(decide, *inputs)
