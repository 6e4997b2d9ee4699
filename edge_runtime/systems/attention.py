"""Attention-aware patch selection with a min-entropy gate (Im et al., IEEE IoT-J 2024).

The light ViT looks at the frame. When its min-entropy is below η the device answers; else only the patches that its
class token attended to travel, and the server's larger model answers from those tokens alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import patches
from edge_runtime.errors import LinkError, ServerRefused
from edge_runtime.messages import Answer, Payload, Request
from edge_runtime.systems.selection import Selection
from edge_runtime.systems.stages import Stages

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.kernels import Decision
    from edge_runtime.messages import Frame
    from edge_runtime.models.bundle import GateSpec
    from edge_runtime.systems import Inference
    from edge_runtime.systems.edge import EdgeModel, Seen


class Attention:
    """The gate, then the patches. ``model`` names the server model; empty means the bundle's default."""

    name = "attention"

    def __init__(self, edge: EdgeModel, gate: GateSpec, model: str = "") -> None:
        self.edge = edge
        self.gate = gate
        self.model = model
        self.select = Selection(gate, edge.frame)

    def infer(self, frame: Frame) -> Inference:
        """Return the device's answer, or the server's from the selected patches."""
        stages = Stages()
        seen, decision = self._look(frame, stages)
        if decision.local:
            return _own_answer(seen, decision, stages)
        with stages("encode"):
            payload = self._encode(decision)
        sent = decision.indices.copy()
        try:
            with stages("link"):
                reply = yield Request(self.name, frame.id, (payload,), self.model)
            probabilities = reply.probabilities[0]
            if len(probabilities) != len(seen.logits):
                raise ServerRefused(f"reply: {len(probabilities)} probabilities for {len(seen.logits)} classes")
        except LinkError as lost:
            return _own_answer(seen, decision, stages, note=str(lost), sent=sent, payload=payload)
        stages.add_server(reply.timings_ms)
        return Answer(
            probabilities,
            int(np.argmax(probabilities)),
            "server",
            decision.uncertainty.min_entropy,
            patches_sent=len(sent),
            payload_bytes=len(payload.data),
            timings_ms=stages.taken_ms,
            attention=seen.attention,
            sent=sent,
        )

    def alone(self, frame: Frame, reason: str) -> Answer:
        """The device's answer where nobody can be asked, for this ``reason``: nothing is encoded in vain.

        It is marked as a fallback where the gate would have asked.
        """
        stages = Stages()
        seen, decision = self._look(frame, stages)
        return _own_answer(seen, decision, stages, note="" if decision.local else reason)

    def _look(self, frame: Frame, stages: Stages) -> tuple[Seen, Decision]:
        with stages("edge"):
            seen = self.edge.see(frame)
        with stages("select"):
            return seen, self.select(seen, frame.pixels)

    def _encode(self, decision: Decision) -> Payload:
        side = self.edge.frame.grid
        gate = self.gate
        data = patches.encode(decision.patches, decision.indices, (side, side), gate.patch_codec, gate.quality)
        return Payload("patches", data)


def _own_answer(
    seen: Seen,
    decision: Decision,
    stages: Stages,
    *,
    note: str = "",
    sent: NDArray[np.uint16] | None = None,
    payload: Payload | None = None,
) -> Answer:
    return Answer(
        kernels.softmax(seen.logits),
        decision.uncertainty.label,
        "edge-fallback" if note else "edge",
        decision.uncertainty.min_entropy,
        patches_sent=0 if sent is None else len(sent),
        payload_bytes=len(payload.data) if payload else 0,
        note=note,
        timings_ms=stages.taken_ms,
        attention=seen.attention,
        sent=sent,
    )
