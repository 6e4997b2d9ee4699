"""What every picture of a run over a changing link has: the link itself, and when each photo was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from link_runs import Asked
    from link_traces import Cell
    from numpy.typing import NDArray

TICKS = (0.5, 1, 2, 5, 10, 20)


def starts_s(cell: Cell) -> NDArray[np.float64]:
    """When each photo comes."""
    return cell.deadline_s * np.arange(cell.photos)


def plot_link(axes: Any, cell: Cell) -> None:
    """Bandwidth over time."""
    end_s = cell.photos * cell.deadline_s
    steps = [*cell.link.bandwidth.steps, (end_s, cell.link.bandwidth.at(end_s))]
    axes.step([at_s for at_s, _ in steps], [8e-6 * rate for _, rate in steps], where="post", color="black")
    axes.set(ylabel="link, Mbit/s", yscale="log", xlim=(0, end_s), ylim=(TICKS[0] / 1.2, TICKS[-1] * 1.2))
    axes.set_yticks(TICKS, TICKS)
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def plot_latencies(
    axes: Any, cell: Cell, asked: Sequence[Asked], kinds: Sequence[str], colours: Mapping[str, str]
) -> None:
    """A dot for each photo, in the colour of its kind."""
    taken_ms = np.array([1e3 * one.latency_s for one in asked])
    for kind, colour in colours.items():
        chosen = np.array([one == kind for one in kinds])
        axes.scatter(starts_s(cell)[chosen], taken_ms[chosen], s=12, color=colour, label=f"{kind}: {chosen.sum()}")
    axes.axhline(1e3 * cell.deadline_s, color="gray", linestyle=":", label="deadline")
    axes.set(ylabel="latency, ms")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    legend(axes)


def legend(axes: Any) -> None:
    """Beside the panel, so that it hides nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8)
