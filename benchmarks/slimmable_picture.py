"""A run of slimmable encoders over a changing link: the bandwidth, and each photo's mode and when it was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from link_picture import legend, plot_latencies, plot_link, starts_s
from link_summary import in_time

from edge_runtime.control.modes import BITS
from edge_runtime.evaluation.pictures import pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from link_runs import Asked, Run
    from link_traces import Cell

MISSED = "missed"


def plot(cell: Cell, run: Run, path: Path) -> None:
    """Draw bandwidth, latencies and modes above each other; colours are numbers of encoders."""
    plt = pyplot(path)
    figure, (link, latency, modes) = plt.subplots(
        3, 1, figsize=(11, 8), sharex=True, constrained_layout=True, gridspec_kw={"height_ratios": (2, 3, 3)}
    )
    kinds = [
        _encoders(one) if is_in_time else MISSED for one, is_in_time in zip(run.asked, in_time(run, cell), strict=True)
    ]
    colours = {name: f"C{place}" for place, name in enumerate(sorted({_encoders(one) for one in run.asked}))}
    plot_link(link, cell)
    plot_latencies(latency, cell, run.asked, kinds, colours | {MISSED: "red"})
    _plot_modes(modes, cell, run.asked, colours)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _encoders(asked: Asked) -> str:
    number = asked.plan.encoders
    return f"{number} encoder{'s' if number > 1 else ''}"


def _plot_modes(axes: Any, cell: Cell, asked: Sequence[Asked], colours: dict[str, str]) -> None:
    """Bits a value, as a bar for each photo."""
    bits = np.array([BITS[one.plan.levels] for one in asked])
    for name, colour in colours.items():
        chosen = np.array([_encoders(one) == name for one in asked])
        axes.bar(starts_s(cell)[chosen], bits[chosen], 0.8 * cell.deadline_s, color=colour, label=name, align="edge")
    axes.set(xlabel="s", ylabel="bits a value", ylim=(0, max(BITS.values()) + 0.2))
    axes.set_yticks(sorted(BITS.values()))
    axes.grid(alpha=0.3, axis="y")
    legend(axes)
