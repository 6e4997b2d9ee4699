"""``edge-runtime evaluate --sweep``: the whole accuracy-against-bytes plane, and the gate one would choose on it."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from edge_runtime.codecs.patches import CODECS
from edge_runtime.evaluation.evaluate import whole_photo_passes
from edge_runtime.evaluation.passes import SelectedPatches, WholePhoto, edge_pass, server_pass
from edge_runtime.evaluation.points import Measure, Point, cheapest, gated, ungated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge_runtime.codecs.patches import PatchCodec
    from edge_runtime.evaluation.evaluate import Setup
    from edge_runtime.evaluation.passes import EdgePass, ServerPass
    from edge_runtime.systems.edge import EdgeModel

SUMS = (0.5, 0.65, 0.8, 0.9, 0.97)
THRESHOLDS = (0.002, 0.003, 0.0045, 0.006)
COUNTS = (60, 90, 120, 150)
# Beside the gate's own codec and quality, which every selection is tried with.
OTHER_QUALITIES = (30, 50, 75)
OTHER_SUMS = (0.65, 0.9)
ETAS: dict[Measure, tuple[float, ...]] = {
    "min-entropy": (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0),
    "shannon": (0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0),
    "margin": (0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.2),
}


@dataclass(frozen=True)
class Sweep:
    """Every point measured. ``server_accuracy`` is that of whole photos, losslessly sent."""

    points: list[Point]
    edge_accuracy: float
    server_accuracy: float
    recommended: Point | None

    def as_json(self) -> dict[str, Any]:
        """The sweep as plain values."""
        return {
            "photos": self.points[0].photos,
            "edge_accuracy": self.edge_accuracy,
            "server_accuracy": self.server_accuracy,
            "recommended": self.recommended.as_json() if self.recommended else None,
            "points": [point.as_json() for point in self.points],
        }


def sweep(setup: Setup, *, within: float, most_cost: float) -> Sweep:
    """Try every selection, codec, gate and rival.

    The recommended point is the patch selection with the fewest wire bytes whose accuracy is within ``within`` of the
    server's own and whose cost is at most ``most_cost``: choose it on photos that no result is reported on.
    """
    scores = _scores(setup.edge)
    edge = edge_pass(setup.photos, setup.edge, scores)
    lossless = server_pass(setup.photos, setup.edge.frame, WholePhoto("png", 100), setup.link, setup.model)
    whole = [*whole_photo_passes(setup), lossless]
    points = [point for sent in whole for point in _at_all_gates(edge, sent, setup.patches)]
    selections = list(_selections(setup, edge, scores))
    chosen: list[Point] = []
    for selection in tqdm(selections, desc="sweep", unit="selection", disable=None):
        sent = server_pass(setup.photos, setup.edge.frame, selection, setup.link, setup.model)
        chosen += _at_all_gates(edge, sent, setup.patches)
    server_accuracy = float(lossless.correct.mean())
    deployable = [point for point in chosen if point.uncertainty and "random" not in point.sending]
    return Sweep(
        points + chosen,
        float(edge.correct.mean()),
        server_accuracy,
        cheapest(deployable, server_accuracy - within, most_cost),
    )


def write_csv(points: Sequence[Point], path: Path) -> None:
    """One line per point."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(points[0])))
        writer.writeheader()
        writer.writerows(point.as_json() for point in points)


def _scores(edge: EdgeModel) -> tuple[str, ...]:
    """Rollout needs every layer: only a model exported with them can tell it."""
    shape = next(tensor.shape for tensor in edge.spec.files[0].outputs if tensor.name == "attention")
    return ("last", "rollout") if len(shape) == 5 else ("last",)


def _selections(setup: Setup, edge: EdgePass, scores: Sequence[str]) -> Iterator[SelectedPatches]:
    def choose(score: str, rule: str, amount: float, codec: PatchCodec, quality: int) -> SelectedPatches:
        return SelectedPatches(edge.scores[score], setup.edge.frame, score, rule, amount, codec, quality)

    gate = setup.gate
    for score in scores:
        yield from (choose(score, "sum", amount, gate.patch_codec, gate.quality) for amount in SUMS)
    yield from (choose("last", "threshold", amount, gate.patch_codec, gate.quality) for amount in THRESHOLDS)
    yield from (choose("last", "top-k", count, gate.patch_codec, gate.quality) for count in COUNTS)
    yield from (choose("last", "random", count, gate.patch_codec, gate.quality) for count in COUNTS)
    for codec in CODECS:
        for quality in OTHER_QUALITIES if codec != "raw" else (100,):
            if (codec, quality) != (gate.patch_codec, gate.quality):
                yield from (choose("last", "sum", amount, codec, quality) for amount in OTHER_SUMS)


def _at_all_gates(edge: EdgePass, sent: ServerPass, total_patches: int) -> list[Point]:
    points = [ungated(sent, total_patches)]
    for measure, etas in ETAS.items():
        points += [gated(edge, sent, total_patches, measure, eta) for eta in etas]
    return points
