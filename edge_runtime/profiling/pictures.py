"""A profile as a picture: the roofline with every kernel under it, and a frame's stages as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.profiling.report import Ceilings, KernelRow, PipelineRow, Profile

# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A8A00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INCHES = 11.0
BAR_INCHES = 0.5


def draw(profile: Profile, path: Path) -> None:
    """Write the picture; raises ArgumentError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ArgumentError(f"--picture: matplotlib is missing ({error}); install the extra `report`") from error
    frames = [row for row in profile.pipelines if row.stages]
    heights = [7.0] * bool(profile.kernels) + [1.4 + BAR_INCHES * len(frames)] * bool(frames)
    if not heights:
        raise ArgumentError("--picture: nothing was measured that could be drawn")
    figure = Figure(figsize=(INCHES, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = iter(figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0])
    if profile.kernels:
        _roofline(next(axes), profile)
    if frames:
        _stages(next(axes), frames)
    figure.savefig(path, dpi=120)


def _roofline(axes: Any, profile: Profile) -> None:
    rows = [row for row in profile.kernels if row.operations]
    for place, backend in enumerate(dict.fromkeys(row.backend for row in rows)):
        own = [row for row in rows if row.backend == backend]
        axes.plot(
            [_intensity(row) for row in own],
            [_rate(row) for row in own],
            MARKERS[place % len(MARKERS)],
            color=COLOURS[place % len(COLOURS)],
            label=backend,
            markersize=6,
            alpha=0.8,
        )
    axes.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="Gop/s")
    if profile.ceilings and rows:
        _ceilings(axes, profile.ceilings, [_intensity(row) for row in rows])
    _names(axes, rows, [row for row in profile.kernels if not row.operations])
    axes.set_title(
        f"Kernels under the roofline: {profile.fingerprint.board or profile.fingerprint.cpu or ''}", loc="left"
    )
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8)


def _ceilings(axes: Any, ceilings: Ceilings, intensities: list[float]) -> None:
    """Slopes of the bandwidths and, to their right, the flat peaks of one core."""
    left, right = min(intensities) / 2, max(intensities) * 4
    top = max(peak.float_ops for peak in ceilings.peaks if peak.threads == 1)
    for level in (ceilings.memory[0], ceilings.memory[-1]):
        x = np.geomspace(left, max(right, top / level.best), 50)
        axes.plot(x, np.minimum(x * level.best, top) / 1e9, color="#666666", linewidth=1)
        name = f"{level.level} {level.best / 1e9:.0f} GB/s"
        at, rate = left * 1.1, left * 1.1 * level.best / 1e9 * 1.15
        slope = {
            "rotation": np.degrees(np.arctan2(rate, at)),
            "transform_rotates_text": True,
            "rotation_mode": "anchor",
        }
        axes.text(at, rate, name, color="#444444", fontsize=8, **slope)
    for peak in ceilings.peaks:
        if peak.threads == 1 and peak.float_ops:
            start = peak.float_ops / ceilings.memory[0].best
            axes.plot([start, right], [peak.float_ops / 1e9] * 2, "--", color="#666666", linewidth=1)
            name = f"{peak.isa} float {peak.float_ops / 1e9:.0f} Gop/s"
            axes.annotate(
                name,
                (right, peak.float_ops / 1e9),
                xytext=(0, 3),
                textcoords="offset points",
                color="#444444",
                fontsize=8,
                ha="right",
            )


def _names(axes: Any, rows: list[KernelRow], moving: list[KernelRow]) -> None:
    """Numbers in an even row below the points, a line from each to its kernel's lowest; their names at the side."""
    kernels = sorted(dict.fromkeys(row.name for row in rows), key=lambda name: (_intensity(_best(rows, name)), name))
    floor = axes.get_ylim()[0]
    axes.set_ylim(floor / 4, None)
    for number, name in enumerate(kernels, 1):
        lowest = min((row for row in rows if row.name == name), key=_rate)
        axes.annotate(
            str(number),
            (_intensity(lowest), _rate(lowest)),
            xytext=((number - 0.5) / len(kernels), 0.02),
            textcoords="axes fraction",
            ha="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": "#aaaaaa", "linewidth": 0.6},
        )
    lines = [f"{number:2} {name}" for number, name in enumerate(kernels, 1)]
    if moving:
        lines += ["", "no arithmetic, best backend:"]
        quickest = [_best(moving, name) for name in dict.fromkeys(row.name for row in moving)]
        lines += [f"{row.name}: {row.bytes / row.timing.p50.value / 1e9:.0f} GB/s" for row in quickest]
    axes.text(1.02, 0.0, "\n".join(lines), transform=axes.transAxes, fontsize=8, va="bottom")


def _best(rows: list[KernelRow], name: str) -> KernelRow:
    return min((row for row in rows if row.name == name), key=lambda row: row.timing.p50.value)


def _intensity(row: KernelRow) -> float:
    return row.operations / row.bytes


def _rate(row: KernelRow) -> float:
    return row.operations / row.timing.p50.value / 1e9


def _stages(axes: Any, frames: list[PipelineRow]) -> None:
    names = list(dict.fromkeys(stage.name for row in frames for stage in row.stages))
    for place, row in enumerate(frames):
        left = 0.0
        for stage in row.stages:
            taken = stage.timing.p50.value * 1e3
            colour = COLOURS[names.index(stage.name) % len(COLOURS)]
            hatch = "//" if names.index(stage.name) >= len(COLOURS) else None
            axes.barh(place, taken, left=left, color=colour, hatch=hatch, edgecolor="white", height=0.7)
            left += taken
        axes.text(left, place, f" {left:.1f} ms", va="center", fontsize=9)
    for name in names:
        at = names.index(name)
        axes.barh(
            0,
            0,
            color=COLOURS[at % len(COLOURS)],
            hatch="//" if at >= len(COLOURS) else None,
            edgecolor="white",
            label=name,
        )
    axes.set_yticks(range(len(frames)), [row.system for row in frames])
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set_xlabel("milliseconds of a frame on the device, medians")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8)
