"""The accuracy-against-bytes plane of two rounds and their rivals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.evaluation.amot_plane import LOSSLESS, TWO_ROUNDS
from edge_runtime.evaluation.pictures import pyplot
from edge_runtime.evaluation.points import frontier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.evaluation.amot_sweep import Outcome

LOWEST = 0.25


def plot_plane(outcomes: Sequence[Outcome], within: float, path: Path) -> None:
    """Draw accuracy against wire bytes, every curve's frontier, and how far below lossless photos is near enough."""
    plt = pyplot(path)
    figure, axes = plt.subplots(figsize=(10, 7), constrained_layout=True)
    curves: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        curves.setdefault(outcome.curve, []).append(outcome)
    (lossless,) = curves.pop(LOSSLESS)
    for curve, points in curves.items():
        width = 2.5 if curve == TWO_ROUNDS else 1
        (line,) = axes.plot(*_places(frontier(points)), "o-", label=curve, ms=3 + width, lw=width)
        spread = [[100 * (p.accuracy - p.low) for p in points], [100 * (p.high - p.accuracy) for p in points]]
        axes.errorbar(*_places(points), spread, fmt="o", c=line.get_color(), ms=3, alpha=0.25)
    best = 100 * lossless.accuracy
    axes.axhline(best, c="black", lw=1, ls="--", label=LOSSLESS)
    axes.axhspan(best - 100 * within, best, color="black", alpha=0.06, label=f"within {100 * within:g} points of it")
    axes.set(
        xscale="log",
        xlabel="bytes on the wire per photo, both directions",
        ylabel="accuracy, %",
        title=f"{lossless.photos} photos, 95 % intervals; lines join the points that no other of their kind beats",
        ylim=(max(best - 100 * LOWEST, 0), min(best + 2, 100)),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _places(points: Sequence[Outcome]) -> tuple[list[float], list[float]]:
    return [point.wire_bytes for point in points], [100 * point.accuracy for point in points]
