"""Tables of slimmable encoders: the grid of modes beside its rivals, what encoders cost, and the race over links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from result_files import read

from edge_runtime.control.modes import ModeTable
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edge_runtime.control.modes import ModeFigures

GRID = (
    "`edge-runtime evaluate --system slimmable --bundle zoo/slimmable --data PHOTOS --limit 1000 --grid --rivals "
    "--split zoo/lite0 --json`"
)
COST = "`python benchmarks/slimmable_encoders.py --bundle zoo/slimmable --split zoo/lite0 --data PHOTOS --out JSON`"
RACE = "`make bench-slimmable PHOTOS=P`"
PHOTO_CODECS = ("jpeg", "webp")


def slimmable_rows() -> list[tuple[str, str, str]]:
    """The README's rows."""
    grid, cost, race = read("val/slimmable.json"), read("slimmable_encoders.json"), read("slimmable_traces.json")
    modes = {(mode["members"], mode["bits"]): mode for mode in grid["modes"]}
    corners = [modes[1, 1], modes[1, 4], modes[4, 4]]
    ours = race["overall"]["policies"][race["ours"]]
    lost, spread = ours["points_lost_for_real"]
    change, memory = cost["change"]["in turns"], cost["memory_mib"]
    return [
        (
            (
                f"slimmable ensemble, accuracy with 1 member and 1 bit; 1 and 4; 4 and 4 ({grid['photos']:,} photos); "
                "whole network on whole photos"
            ),
            _joined([*(mode["accuracy"] for mode in corners), grid["teacher_accuracy"]], ".1%"),
            GRID,
        ),
        (
            "payload bytes of these modes; as packed bits",
            _joined([mode[key] for key in ("payload_bytes", "packed_bytes") for mode in corners], ",.0f"),
            GRID,
        ),
        (
            "time of one; of four members ÷ the whole network, fp16 files, one thread: onnxruntime, LiteRT",
            ", ".join(
                "; ".join(f"{100 * row['times'][f'ensemble {number}']['ratio']:.1f} %" for number in (1, 4))
                for row in cost["costs"]
                if row["family"] == "ensemble" and row["precision"] == "fp16"
            ),
            COST,
        ),
        (
            "another mode for every frame ÷ frames that stay in theirs: time; memory of all modes",
            (
                f"{change['ratio']:.3f} × ({change['spread'][0]:.3f} to {change['spread'][1]:.3f}); "
                f"{memory['ensemble']:.0f} MiB"
            ),
            COST,
        ),
        (
            (
                f"slimmable over changing links, of {race['overall']['meetable']:,} deadlines that an oracle could "
                "meet: met; accuracy lost against the oracle's modes"
            ),
            f"{ours['meetable_in_time']} ({ours['share_of_meetable']:.2%}); {lost:.1f} ± {spread:.1f} points",
            RACE,
        ),
    ]


def slimmable_tables(zoo: Path) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Heads and rows of the system's page, in their order; ``zoo`` holds the bundle."""
    return [
        (GRID_HEAD, grid_rows(zoo)),
        (RIVAL_HEAD, rival_rows()),
        (COST_HEAD, cost_rows()),
        (COLD_HEAD, cold_rows()),
        (LINK_HEAD, link_rows()),
    ]


GRID_HEAD = (
    "family",
    "members or width",
    "bits",
    "accuracy (95 %)",
    "on training photos held out",
    "payload, bytes",
    "as packed bits",
)


def grid_rows(zoo: Path) -> list[tuple[str, ...]]:
    """Every mode of every family, on validation photos and as calibration measured it."""
    grid, bundle = read("val/slimmable.json"), Bundle.load(zoo)
    rows = []
    for family, modes in {grid["family"]: grid["modes"], **grid["families"]}.items():
        held_out = _held_out(bundle, family)
        rows += [
            (
                family,
                str(mode["members"]),
                f"{mode['bits']:g}",
                _accuracy(mode),
                f"{held_out[mode['members'], mode['bits']].accuracy:.1%}",
                f"{mode['payload_bytes']:,.0f}",
                f"{mode['packed_bytes']:,}",
            )
            for mode in modes
        ]
    return rows


RIVAL_HEAD = (
    "members, bits",
    "payload, bytes",
    "accuracy",
    "JPEG",
    "WebP",
    "slimmable in width",
    "FF, best of four cuts",
)


def rival_rows() -> list[tuple[str, ...]]:
    """Each of our modes beside what others have at as many bytes, read off the lines between their points."""
    grid = read("val/slimmable.json")
    curves: dict[str, list[dict[str, Any]]] = {}
    for rival in grid["rivals"]:
        curves.setdefault(rival["curve"], []).append(rival)
    widths = [mode for modes in grid["families"].values() for mode in modes]
    cuts = [points for curve, points in curves.items() if curve not in PHOTO_CODECS]
    rows = []
    for mode in grid["modes"]:
        size = mode["payload_bytes"]
        photos = [_shown(_at(curves[codec], size)) for codec in PHOTO_CODECS]
        cheaper = [one["accuracy"] for one in widths if one["payload_bytes"] <= size]
        found = [accuracy for points in cuts if (accuracy := _at(points, size)) is not None]
        rows.append(
            (
                f"{mode['members']}, {mode['bits']:g}",
                f"{size:,.0f}",
                f"{mode['accuracy']:.1%}",
                *photos,
                _shown(max(cheaper, default=None)),
                _shown(max(found, default=None)),
            )
        )
    return rows


COST_HEAD = ("family", "runtime", "files", "1", "2", "3", "4")


def cost_rows() -> list[tuple[str, ...]]:
    """Every number of encoders or width, and what a device computes up to a cut, as shares of the whole network."""
    found = read("slimmable_encoders.json")
    rows = [
        (
            row["family"],
            row["runtime"],
            row["precision"],
            *(_ratio(row["times"][f"{row['family']} {number}"]) for number in range(1, 5)),
        )
        for row in found["costs"]
    ]
    cuts = [(name, taken) for name, taken in found["cut_costs"].items() if name != "whole network"]
    return [*rows, *((name, "onnxruntime", "fp16", _ratio(taken), "", "", "") for name, taken in cuts)]


COLD_HEAD = ("what changes", "load and first run, ms", "a run, ms", "loading ÷ running", "all loaded, MiB")


def cold_rows() -> list[tuple[str, ...]]:
    """What a change costs whoever loads for it, and what it takes to have everything loaded."""
    found = read("slimmable_encoders.json")
    memory = found["memory_mib"]
    rows = [
        (
            name,
            f"{taken['cold_ms']:.1f}",
            f"{taken['warm_ms']:.2f}",
            f"{taken['cold_ms'] / taken['warm_ms']:.0f} ×",
            "",
        )
        for name, taken in found["cold_changes"].items()
    ]
    return [*rows, *((f"{name}, nothing to load", "0", "", "", f"{size:.1f}") for name, size in memory.items())]


LINK_HEAD = (
    "trace",
    "deadline",
    "policy",
    "of the oracle's deadlines met",
    "accuracy in time",
    "points lost to the oracle: by the tables; for real",
    "bytes",
)


def link_rows() -> list[tuple[str, ...]]:
    """Every policy in every cell, then all cells together."""
    found = read("slimmable_traces.json")
    rows = [
        (cell["trace"], f"{cell['deadline_ms']:.0f} ms", *_raced(name, row, cell["meetable"]))
        for cell in found["cells"]
        for name, row in cell["policies"].items()
    ]
    overall = found["overall"]
    return [*rows, *(("all", "", *_raced(name, row, overall["meetable"])) for name, row in overall["policies"].items())]


def _raced(name: str, row: dict[str, Any], meetable: int) -> tuple[str, ...]:
    lost, spread = row["points_lost_for_real"]
    by_table = "-" if row["points_lost"] is None else f"{row['points_lost']:.1f}"
    return (
        name,
        f"{row['meetable_in_time'] / meetable:.1%}" if meetable else "-",
        _shown(row["accuracy"]),
        f"{by_table}; {lost:.1f} ± {spread:.1f}",
        f"{row['wire_bytes']:,.0f}",
    )


def _held_out(bundle: Bundle, family: str) -> dict[tuple[int, float], ModeFigures]:
    table = ModeTable.load(bundle.read(bundle.latent(family).modes))
    return {(one.encoders, one.bits): one for one in table.modes}


def _at(points: list[dict[str, Any]], size: float) -> float | None:
    """Accuracy at a size, linear between points; beyond the smallest point there is none."""
    ordered = sorted((point["payload_bytes"], point["accuracy"]) for point in points)
    sizes, accuracies = zip(*ordered, strict=True)
    return None if size < sizes[0] else float(np.interp(size, sizes, accuracies))


def _joined(values: Iterable[float], form: str) -> str:
    return "; ".join(format(value, form) for value in values)


def _shown(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{accuracy:.1%}"


def _accuracy(point: dict[str, Any]) -> str:
    low, high = point["accuracy_interval"]
    return f"{point['accuracy']:.1%} ({low:.1%} to {high:.1%})"


def _ratio(times: dict[str, Any]) -> str:
    return f"{100 * times['ratio']:.1f} % ({100 * times['spread'][0]:.1f} to {100 * times['spread'][1]:.1f})"
