"""Pictures of the scheduler at work: what device, link and server do, and answers over time against the baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_runtime.evaluation.pictures import pyplot
from edge_runtime.scheduling.timeline import LANES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.evaluation.bps import Run
    from edge_runtime.evaluation.trace_syntax import LinkTrace
    from edge_runtime.scheduling.timeline import Timeline

# Jobs that a Gantt chart shows; more than these are too thin to see.
JOBS = 24
WINDOWS = 40
# A bar that is a smaller share of the chart has no room for its number.
LEAST_LABELLED = 0.02
COLOURS = 10


def plot(runs: Sequence[Run], trace: LinkTrace, path: Path) -> None:
    """Draw the first run's jobs from its middle, by lane, and all runs' answers in time per second."""
    plt = pyplot(path)
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(11, 8), constrained_layout=True, gridspec_kw={"height_ratios": (2, 3)}
    )
    _plot_lanes(above, runs[0])
    _plot_rates(below, runs, trace)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _plot_lanes(axes: Any, run: Run) -> None:
    spans = _middle(run.timeline)
    shown_s = max((span.end_s for span in spans), default=0.0) - min((span.start_s for span in spans), default=0.0)
    for span in spans:
        start, taken = span.start_s, span.end_s - span.start_s
        colour = f"C{span.job % COLOURS}"
        axes.barh(LANES.index(span.lane), taken, left=start, color=colour, edgecolor="white", linewidth=0.5)
        if span.lane == "device" and taken >= LEAST_LABELLED * shown_s:
            text = f"{span.frames}" if span.label.startswith("local") else f"{span.frames}↑"
            axes.text(start + taken / 2, 0, text, ha="center", va="center", fontsize=7)
    axes.set_yticks(range(len(LANES)), LANES)
    axes.invert_yaxis()
    # A hybrid's own name is on what it sends.
    plan = next((span.label for lane in ("link", "device") for span in spans if span.lane == lane), "nothing")
    axes.set(xlabel="s", title=f"{run.policy}: one colour a job, frames in it, ↑ sent; here {plan}")


def _middle(timeline: Timeline) -> list[Any]:
    jobs = list(dict.fromkeys(span.job for span in timeline.spans))
    first = max((len(jobs) - JOBS) // 2, 0)
    shown = set(jobs[first : first + JOBS])
    return [span for span in timeline.spans if span.job in shown]


def _plot_rates(axes: Any, runs: Sequence[Run], trace: LinkTrace) -> None:
    duration_s = runs[0].timeline.duration_s
    for run in runs:
        times, rates = run.timeline.over_time(duration_s / WINDOWS)
        style = {"lw": 2.5, "c": "black", "zorder": 3} if run is runs[0] else {"lw": 1}
        axes.plot(times, rates, label=f"{run.policy}: {run.timeline.rate():.1f}/s", **style)
    axes.set(xlabel="s", ylabel="answers in time per second", xlim=(0, duration_s))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.07, 1), fontsize=8)
    link = axes.twinx()
    steps = [*trace.bandwidth.steps, (duration_s, trace.bandwidth.at(duration_s))]
    link.step([time for time, _ in steps], [rate * 8e-6 for _, rate in steps], where="post", c="gray", ls=":")
    link.set(ylabel="link, Mbit/s (dotted)", yscale="log")
