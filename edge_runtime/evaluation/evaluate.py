"""``edge-runtime evaluate``: one operating point end to end, beside every rival, on the same photos and link."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from edge_runtime.evaluation.latency import latencies
from edge_runtime.evaluation.passes import WholePhoto, edge_pass, server_pass
from edge_runtime.evaluation.points import Point, gated, ungated, wilson
from edge_runtime.messages import Frame
from edge_runtime.photos import open_frame
from edge_runtime.systems.attention import Attention
from edge_runtime.systems.driver import drive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.codecs.image import ImageCodec
    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.evaluation.passes import EdgePass, ServerPass
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Answer
    from edge_runtime.models.bundle import GateSpec
    from edge_runtime.systems.edge import EdgeModel

RIVAL_QUALITIES: dict[ImageCodec, tuple[int, ...]] = {
    "jpeg": (5, 10, 20, 30, 50, 75),
    "webp": (1, 5, 10, 20, 50, 75),
}


@dataclass(frozen=True)
class Setup:
    """What an evaluation runs on; ``model`` names the server model, empty for the bundle's default."""

    photos: Sequence[Photo]
    edge: EdgeModel
    link: MeasuredLink
    gate: GateSpec
    model: str = ""
    deadline_s: float = float("inf")

    @property
    def patches(self) -> int:
        """Patches of a whole frame."""
        return self.edge.frame.grid**2


def evaluate(setup: Setup, edge: EdgePass | None = None) -> dict[str, Any]:
    """Measure the attention system and its rivals; the keys are described in ``docs/evaluating.md``."""
    edge = edge or edge_pass(setup.photos, setup.edge, ())
    report = _end_to_end(setup)
    rivals = whole_photo_passes(setup)
    lossless = server_pass(setup.photos, setup.edge.frame, WholePhoto("png", 100), setup.link, setup.model)
    same_quality = WholePhoto("jpeg", setup.gate.quality).name
    jpeg = next(sent for sent in rivals if sent.name == same_quality)
    report["edge_accuracy"] = float(edge.correct.mean())
    report["server_accuracy"] = float(lossless.correct.mean())
    report["jpeg_wire_bytes"] = float(jpeg.wire_bytes.mean())
    report["jpeg_accuracy"] = float(jpeg.correct.mean())
    report["rivals"] = [point.as_json() for point in rival_points(setup, edge, [*rivals, lossless])]
    return report


def whole_photo_passes(setup: Setup) -> list[ServerPass]:
    """Every photo whole, as JPEG and WebP over their qualities."""
    return [
        server_pass(setup.photos, setup.edge.frame, WholePhoto(codec, quality), setup.link, setup.model)
        for codec, qualities in RIVAL_QUALITIES.items()
        for quality in sorted({*qualities, *([setup.gate.quality] if codec == "jpeg" else [])})
    ]


def rival_points(setup: Setup, edge: EdgePass, whole: Sequence[ServerPass]) -> list[Point]:
    """What a practical person would do: send whole photos, or only those that the same gate does not answer."""
    gate = setup.gate
    alone = [ungated(sent, setup.patches) for sent in whole]
    behind_gate = [gated(edge, sent, setup.patches, gate.uncertainty, gate.eta) for sent in whole]
    return alone + behind_gate


def _end_to_end(setup: Setup) -> dict[str, Any]:
    system = Attention(setup.edge, setup.gate, setup.model)
    answers: list[Answer] = []
    taken_ms: list[float] = []
    right = 0
    wire_before = setup.link.wire_bytes()
    for index, photo in enumerate(tqdm(setup.photos, desc="attention system", unit="photo", leave=False, disable=None)):
        pixels = open_frame(photo.data, setup.edge.frame)
        start = time.monotonic()
        frame = Frame(index, pixels, start + setup.deadline_s)
        answers.append(drive(system.infer(frame), setup.link.call, frame.deadline_s))
        taken_ms.append((time.monotonic() - start) * 1e3)
        right += answers[-1].label == photo.label
    return _summary(setup, answers, taken_ms, right, setup.link.wire_bytes() - wire_before)


def _summary(
    setup: Setup, answers: Sequence[Answer], taken_ms: Sequence[float], right: int, wire_bytes: int
) -> dict[str, Any]:
    count = len(answers)
    sent = [answer for answer in answers if answer.patches_sent]
    share_local = 1 - len(sent) / count
    patches = float(np.mean([answer.patches_sent for answer in sent])) if sent else 0.0
    return {
        "photos": count,
        "accuracy": right / count,
        "accuracy_interval": wilson(right, count),
        "share_local": share_local,
        "fallbacks": sum(answer.decided_by == "edge-fallback" for answer in answers),
        "patches_per_sent_photo": patches,
        "cost": (1 - share_local) * patches / setup.patches,
        "payload_bytes": sum(answer.payload_bytes for answer in answers) / count,
        "wire_bytes": wire_bytes / count,
        "latency_ms": latencies(answers, taken_ms),
    }
