"""A run of A-MOT's over a changing link: the bandwidth, and how each photo was asked about and when it was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from amot_summary import in_time

from edge_runtime.evaluation.pictures import pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from amot_runs import Asked, Cell, Run

TICKS = (0.5, 1, 2, 5, 10, 20)
COLOURS = {"one round": "C0", "two rounds": "C1", "best effort": "C2", "missed": "C3"}


def plot(cell: Cell, run: Run, path: Path) -> None:
    """Draw bandwidth, latencies and patches above each other."""
    plt = pyplot(path)
    figure, (link, latency, patches) = plt.subplots(
        3, 1, figsize=(11, 8), sharex=True, constrained_layout=True, gridspec_kw={"height_ratios": (2, 3, 3)}
    )
    starts_s = cell.deadline_s * np.arange(cell.photos)
    kinds = [_kind(one, is_in_time) for one, is_in_time in zip(run.asked, in_time(run, cell), strict=True)]
    _plot_link(link, cell)
    _plot_latencies(latency, cell, starts_s, run.asked, kinds)
    _plot_patches(patches, cell, starts_s, run.asked)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _kind(asked: Asked, is_in_time: bool) -> str:
    if not is_in_time:
        return "missed"
    if asked.fate == "best effort":
        return asked.fate
    return "two rounds" if asked.rounds == 2 else "one round"


def _plot_link(axes: Any, cell: Cell) -> None:
    end_s = cell.photos * cell.deadline_s
    steps = [*cell.link.bandwidth.steps, (end_s, cell.link.bandwidth.at(end_s))]
    axes.step([at_s for at_s, _ in steps], [8e-6 * rate for _, rate in steps], where="post", color="black")
    axes.set(ylabel="link, Mbit/s", yscale="log", xlim=(0, end_s), ylim=(TICKS[0] / 1.2, TICKS[-1] * 1.2))
    axes.set_yticks(TICKS, TICKS)
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def _plot_latencies(axes: Any, cell: Cell, starts_s: Any, asked: Sequence[Asked], kinds: Sequence[str]) -> None:
    taken_ms = np.array([1e3 * one.latency_s for one in asked])
    for kind, colour in COLOURS.items():
        chosen = np.array([one == kind for one in kinds])
        axes.scatter(starts_s[chosen], taken_ms[chosen], s=12, color=colour, label=f"{kind}: {chosen.sum()}")
    axes.axhline(1e3 * cell.deadline_s, color="gray", linestyle=":", label="deadline")
    axes.set(ylabel="latency, ms")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8)


def _plot_patches(axes: Any, cell: Cell, starts_s: Any, asked: Sequence[Asked]) -> None:
    """What was planned."""
    first, second = (
        np.array([getattr(one.plan, part) if one.plan else 0 for one in asked]) for part in ("first", "second")
    )
    width = 0.8 * cell.deadline_s
    axes.bar(starts_s, first, width, color="C0", label="first round")
    axes.bar(starts_s, second, width, bottom=first, color="C1", alpha=0.6, label="second round, at most")
    axes.set(xlabel="s", ylabel="patches planned")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8)
