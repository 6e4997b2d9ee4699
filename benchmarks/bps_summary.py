"""What the cells of the scheduler's race say: each one's ratios, and all of them in a few figures."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bps_cells import Cell

OURS = "bps"


def row(cell: Cell, rates: dict[str, float]) -> dict[str, Any]:
    """One cell's rates (answers in time per second, by policy) and what they say; 0 against a rate of 0 is no ratio."""
    rivals = {name: rate for name, rate in rates.items() if not name.startswith(OURS)}
    best = max(rivals, key=lambda name: rivals[name])
    least = min((name for name in rivals if rivals[name] > 0), key=lambda name: rivals[name])
    median = statistics.median(rivals.values())
    return {
        **cell.as_json(),
        "rates": rates,
        "best": best,
        "ratio_vs_best": rates[OURS] / rivals[best],
        "ratio_vs_median": rates[OURS] / median if median > 0 else None,
        "least": least,
        "max_ratio": rates[OURS] / rivals[least],
        "answering_nothing": [name for name, rate in rivals.items() if rate == 0],
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The grid in a few figures, and the cells that the extremes come from."""
    worst = min(rows, key=lambda one: one["ratio_vs_best"])
    best = max(rows, key=lambda one: one["ratio_vs_best"])
    widest = max(rows, key=lambda one: one["max_ratio"])
    return {
        "min_ratio_vs_best": worst["ratio_vs_best"],
        "min_cell": _place(worst),
        "max_ratio_vs_best": best["ratio_vs_best"],
        "max_vs_best_cell": _place(best),
        "geomean_vs_median": _geomean(rows),
        "geomean_vs_median_saturating": _geomean([one for one in rows if one["arrivals"] == "saturating"]),
        "max_ratio_vs_any": widest["max_ratio"],
        "max_cell": _place(widest),
    }


def _geomean(rows: list[dict[str, Any]]) -> float:
    return statistics.geometric_mean(one["ratio_vs_median"] for one in rows if one["ratio_vs_median"])


def _place(one: dict[str, Any]) -> dict[str, Any]:
    return {key: one[key] for key in ("mbit", "slower", "arrivals")}
