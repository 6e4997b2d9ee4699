"""The accuracy-against-bytes plane of two rounds and their rivals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.evaluation.amot_plane import LOSSLESS, TWO_ROUNDS
from edge_runtime.evaluation.pictures import pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.evaluation.amot_sweep import Outcome

LOWEST = 0.25


def plot_plane(outcomes: Sequence[Outcome], within: float, path: Path) -> None:
    """Draw accuracy against wire bytes, a line per curve, and how far below lossless photos is near enough."""
    plt = pyplot(path)
    figure, axes = plt.subplots(figsize=(10, 7), constrained_layout=True)
    curves: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        curves.setdefault(outcome.curve, []).append(outcome)
    (lossless,) = curves.pop(LOSSLESS)
    for curve, found in curves.items():
        points = sorted(found, key=lambda point: point.wire_bytes)
        sizes, accuracies = [point.wire_bytes for point in points], [100 * point.accuracy for point in points]
        spread = [[100 * (p.accuracy - p.low) for p in points], [100 * (p.high - p.accuracy) for p in points]]
        is_ours = curve == TWO_ROUNDS
        line = axes.plot(sizes, accuracies, "o-", label=curve, ms=6 if is_ours else 4, lw=2.5 if is_ours else 1)[0]
        axes.errorbar(sizes, accuracies, spread, fmt="none", ecolor=line.get_color(), alpha=0.25)
    best = 100 * lossless.accuracy
    axes.axhline(best, c="black", lw=1, ls="--", label=LOSSLESS)
    axes.axhspan(best - 100 * within, best, color="black", alpha=0.06, label=f"within {100 * within:g} points of it")
    axes.set(
        xscale="log",
        xlabel="bytes on the wire per photo, both directions",
        ylabel="accuracy, %",
        title=f"{lossless.photos} photos; bars: 95 % intervals",
        ylim=(max(best - 100 * LOWEST, 0), min(best + 2, 100)),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)
