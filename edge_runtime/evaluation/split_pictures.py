"""Pictures of cuts: where the time goes, and accuracy against bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_runtime.evaluation.pictures import pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.evaluation.split import Outcome

SIDES = {"device": "tab:blue", "link": "tab:orange", "server": "tab:green"}
MARKERS = {"ff": "o-", "float16": "x", "jpeg": "^--", "webp": "v--"}
PHOTOS = {"jpeg": "tab:red", "webp": "tab:purple"}
CUTS = ("tab:blue", "tab:orange", "tab:green", "tab:cyan", "tab:olive", "tab:pink", "tab:brown", "tab:gray")


def plot_stages(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw one bar per way, stacked from the medians of device, link and server, with accuracy and bytes beside it."""
    plt = pyplot(path)
    figure, axes = plt.subplots(figsize=(10, 1.5 + 0.32 * len(outcomes)), constrained_layout=True)
    ends = [0.0] * len(outcomes)
    for side, colour in SIDES.items():
        # The link's share is what remains of the round trip, which a clock may make a hair negative.
        widths = [max(outcome.latency_ms.get(side, {}).get("p50", 0.0), 0.0) for outcome in outcomes]
        axes.barh(range(len(outcomes)), widths, left=ends, color=colour, label=side)
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    for row, (end, outcome) in enumerate(zip(ends, outcomes, strict=True)):
        axes.text(end, row, f" {outcome.accuracy:.1%}, {outcome.payload_bytes / 1e3:.1f} kB", va="center", fontsize=8)
    axes.set_yticks(range(len(outcomes)), [outcome.name for outcome in outcomes], fontsize=8)
    axes.invert_yaxis()
    axes.set(
        xlabel="median of each side, ms",
        xlim=(0, 1.25 * max(ends) or 1),
        title=f"{outcomes[0].photos} photos: accuracy and payload beside each bar",
    )
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def plot_rates(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw accuracy against wire bytes: a line per cut, whole photos as JPEG and WebP, and uncompressed maps."""
    plt = pyplot(path)
    figure, axes = plt.subplots(figsize=(9, 6), constrained_layout=True)
    cuts = list(dict.fromkeys((outcome.network, outcome.cut) for outcome in outcomes if outcome.cut))
    for (network, cut, codec), line in _lines(outcomes).items():
        colour = CUTS[cuts.index((network, cut)) % len(CUTS)] if cut else PHOTOS.get(codec)
        _plot_line(axes, f"{network}.{cut}, {codec}" if cut else f"{network}, {codec}", colour, line)
    axes.set(
        xscale="log",
        xlabel="bytes on the wire per photo, both directions",
        ylabel="accuracy, %",
        title=f"{outcomes[0].photos} photos",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _lines(outcomes: Sequence[Outcome]) -> dict[tuple[str, str, str], list[Outcome]]:
    lines: dict[tuple[str, str, str], list[Outcome]] = {}
    for outcome in outcomes:
        lines.setdefault((outcome.network, outcome.cut, outcome.codec), []).append(outcome)
    return lines


def _plot_line(axes: Any, label: str, colour: str | None, line: Sequence[Outcome]) -> None:
    if line[0].codec == "png":
        axes.axhline(100 * line[0].accuracy, c="black", lw=1, ls="--", label=f"{label} (lossless)")
        return
    ordered = sorted(line, key=lambda outcome: outcome.wire_bytes)
    axes.plot(
        [outcome.wire_bytes for outcome in ordered],
        [100 * outcome.accuracy for outcome in ordered],
        MARKERS[line[0].codec],
        c=colour,
        ms=5,
        label=label,
    )
