"""Pictures of slimmable encoders: accuracy against bytes, and modes over a changing link."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from edge_runtime.control.modes import BITS
from edge_runtime.evaluation.pictures import pyplot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edge_runtime.evaluation.slimmable import Run
    from edge_runtime.evaluation.slimmable_grid import ModeOutcome, Rival
    from edge_runtime.evaluation.trace_syntax import LinkTrace

MISSED = "tab:red"


def plot_grid(
    families: Mapping[str, Sequence[ModeOutcome]], rivals: Sequence[Rival], teacher_accuracy: float, path: Path
) -> None:
    """Draw accuracy against wire bytes: a line per number of members, the first family's solid, and one per rival."""
    plt = pyplot(path)
    figure, axes = plt.subplots(figsize=(9, 6), constrained_layout=True)
    for style, (family, outcomes) in zip(itertools.cycle(("o-", "s--", "d:")), families.items(), strict=False):
        for members in sorted({outcome.members for outcome in outcomes}):
            line = [outcome for outcome in outcomes if outcome.members == members]
            axes.plot(*_places(line), style, c=f"C{members - 1}", ms=5, label=f"{family}, {members}")
    curves: dict[str, list[Rival]] = {}
    for rival in rivals:
        curves.setdefault(rival.curve, []).append(rival)
    for place, (curve, points) in enumerate(curves.items()):
        axes.plot(*_places(points), "x-.", c=f"C{4 + place % 6}", lw=1, ms=5, label=curve)
    axes.axhline(100 * teacher_accuracy, c="black", lw=1, ls="--", label="whole network, lossless photos")
    axes.set(xscale="log", xlabel="bytes on the wire per photo, both directions", ylabel="accuracy, %")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def plot_trace(run: Run, trace: LinkTrace, deadline_s: float, path: Path) -> None:
    """Draw above each other the link's bandwidth, members and bits of every photo, and when it was answered."""
    plt = pyplot(path)
    figure, (link, members, bits, latency) = plt.subplots(
        4, 1, figsize=(11, 9), sharex=True, constrained_layout=True, gridspec_kw={"height_ratios": (2, 2, 2, 3)}
    )
    end_s = run.asked[-1].at_s + deadline_s
    steps = [step for step in trace.bandwidth.steps if step[0] < end_s]
    steps.append((end_s, trace.bandwidth.at(end_s)))
    link.step([at_s for at_s, _ in steps], [8e-6 * rate for _, rate in steps], where="post", color="black")
    link.set(ylabel="link, Mbit/s", yscale="log", xlim=(0, end_s))
    _plot_knobs(members, bits, run)
    _plot_latencies(latency, run, deadline_s)
    for axes in (link, members, bits, latency):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _plot_knobs(members: Any, bits: Any, run: Run) -> None:
    modes = [(one.at_s, one.answer.mode) for one in run.asked if one.answer and one.answer.mode]
    at_s = [when_s for when_s, _ in modes]
    members.plot(at_s, [mode.encoders for _, mode in modes], "o", ms=3)
    members.set(ylabel="members", ylim=(0, None))
    bits.plot(at_s, [BITS[mode.levels] for _, mode in modes], "o", ms=3)
    bits.set(ylabel="bits a value", ylim=(0.5, 4.5))


def _plot_latencies(axes: Any, run: Run, deadline_s: float) -> None:
    for label, colour, chosen in (
        ("in time", "tab:blue", [one for one in run.asked if one.answer]),
        ("missed", MISSED, [one for one in run.asked if not one.answer]),
    ):
        times = [one.at_s for one in chosen], [1e3 * one.latency_s for one in chosen]
        axes.scatter(*times, s=12, color=colour, label=f"{label}: {len(chosen)}")
    axes.axhline(1e3 * deadline_s, color="gray", ls=":", label="deadline")
    axes.set(xlabel="s", ylabel="latency, ms")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8)


def _places(points: Sequence[ModeOutcome | Rival]) -> tuple[list[float], list[float]]:
    ordered = sorted(points, key=lambda point: point.wire_bytes)
    return [point.wire_bytes for point in ordered], [100 * point.accuracy for point in ordered]
