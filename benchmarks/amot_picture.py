"""A run of A-MOT's over a changing link: the bandwidth, and how each photo was asked about and when it was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from link_picture import legend, plot_latencies, plot_link, starts_s
from link_summary import in_time

from edge_runtime.evaluation.pictures import pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from link_runs import Asked, Run
    from link_traces import Cell

COLOURS = {"one round": "C0", "two rounds": "C1", "best effort": "C2", "missed": "C3"}


def plot(cell: Cell, run: Run, path: Path) -> None:
    """Draw bandwidth, latencies and patches above each other."""
    plt = pyplot(path)
    figure, (link, latency, patches) = plt.subplots(
        3, 1, figsize=(11, 8), sharex=True, constrained_layout=True, gridspec_kw={"height_ratios": (2, 3, 3)}
    )
    kinds = [_kind(one, is_in_time) for one, is_in_time in zip(run.asked, in_time(run, cell), strict=True)]
    plot_link(link, cell)
    plot_latencies(latency, cell, run.asked, kinds, COLOURS)
    _plot_patches(patches, cell, run.asked)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _kind(asked: Asked, is_in_time: bool) -> str:
    if not is_in_time:
        return "missed"
    if asked.fate == "best effort":
        return asked.fate
    return "two rounds" if asked.rounds == 2 else "one round"


def _plot_patches(axes: Any, cell: Cell, asked: Sequence[Asked]) -> None:
    """What was planned."""
    first, second = (
        np.array([getattr(one.plan, part) if one.plan else 0 for one in asked]) for part in ("first", "second")
    )
    width = 0.8 * cell.deadline_s
    axes.bar(starts_s(cell), first, width, color="C0", label="first round")
    axes.bar(starts_s(cell), second, width, bottom=first, color="C1", alpha=0.6, label="second round, at most")
    axes.set(xlabel="s", ylabel="patches planned")
    legend(axes)
