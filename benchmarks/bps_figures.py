"""Tables of the scheduler: its race over links, devices and arrivals, the runs for real, and where it is misled.

A part that `benchmarks/bps.py` has not run yet makes an empty table.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from result_files import RESULTS, read

ROOT = Path(__file__).parents[1]
COMMAND = "`make bench-bps PARTS={}`"
DECISION = "`python benchmarks/scheduling_decision.py --tables zoo/lite0/tables.json`"
OURS, LEARNED, UNCORRECTED = "bps", "bps-learned", "uncorrected"
# The world that is as the tables say is no mistake.
RIGHT = "none"


def found(part: str) -> Any:
    """What one part of the race found; None where it has not run. The grid's figures lie at the top of the file."""
    everything = read("bps.json") if (RESULTS / "bps.json").exists() else {}
    return everything.get(part) if part != "grid" else everything if "cells" in everything else None


def bps_rows() -> list[tuple[str, str, str]]:
    """The scheduler in a few figures."""
    return [*_grid_figures(), *_wrong_figures(), *_decision_figures()]


def _grid_figures() -> list[tuple[str, str, str]]:
    grid = found("grid")
    if not grid:
        return []
    count = len(grid["cells"])
    widest = next(one for one in grid["cells"] if _place(one) == _place(grid["max_cell"]))
    rows = [
        (
            (
                f"BPS, answers in time per second ÷ the best of eight baselines, {count} simulated cells: least; "
                "largest (link, device's speed against the server's, arrivals)"
            ),
            (
                f"{grid['min_ratio_vs_best']:.4f} ({_place(grid['min_cell'])}); "
                f"{grid['max_ratio_vs_best']:.2f} ({_place(grid['max_vs_best_cell'])})"
            ),
        ),
        (
            "the same ÷ the median baseline, geometric mean: all cells; those with more frames than can be answered",
            f"{grid['geomean_vs_median']:.2f}; {grid['geomean_vs_median_saturating']:.2f}",
        ),
        (
            "the same ÷ any baseline that answers at all, largest",
            f"{grid['max_ratio_vs_any']:.1f} (against {widest['least']}, {_place(grid['max_cell'])})",
        ),
    ]
    return [(*row, COMMAND.format("grid")) for row in rows]


def _wrong_figures() -> list[tuple[str, str, str]]:
    mistakes = [one for one in found("wrong") or () if one["mistake"] != RIGHT]
    if not mistakes:
        return []
    means = [statistics.mean(one["mean"][name] for one in mistakes) for name in (UNCORRECTED, OURS)]
    return [
        (
            f"BPS, share of an oracle's rate, mean of {len(mistakes)} kinds of wrong tables: believed; corrected",
            f"{means[0]:.1%}; {means[1]:.1%}",
            COMMAND.format("wrong"),
        )
    ]


def _decision_figures() -> list[tuple[str, str, str]]:
    if not (RESULTS / "scheduling_decision.json").exists():
        return []
    times = read("scheduling_decision.json")
    measured = f"{times['planner_us']:.0f} µs; {times['learned_us']:.0f} µs"
    return [(f"one decision: the planner among {times['plans']} plans; the learned policy", measured, DECISION)]


SATURATED_HEAD = (
    "Mbit/s",
    "device",
    "BPS's plan",
    "BPS /s",
    "best baseline",
    "its /s",
    "×",
    "× the median",
    "learned /s",
)


def saturated_rows() -> list[tuple[str, ...]]:
    """The cells whose queue never empties."""
    return [
        (
            *_where(one),
            one["plan"],
            f"{one['rates'][OURS]:.1f}",
            one["best"],
            f"{one['rates'][one['best']]:.1f}",
            f"{one['ratio_vs_best']:.2f}",
            f"{one['ratio_vs_median']:.2f}" if one["ratio_vs_median"] else "",
            f"{one['rates'][LEARNED]:.1f}" if LEARNED in one["rates"] else "",
        )
        for one in _cells("saturating")
    ]


ARRIVING_HEAD = (
    "Mbit/s",
    "device",
    "steady: BPS /s",
    "× the best",
    "plan",
    "bursty: BPS /s",
    "× the best",
    "plan",
)


def arriving_rows() -> list[tuple[str, ...]]:
    """The cells where frames come by themselves, a row for both kinds of arrivals."""
    return [
        (*_where(steady), *_arriving(steady), *_arriving(bursty))
        for steady, bursty in zip(_cells("steady"), _cells("bursty"), strict=True)
    ]


def _arriving(one: dict[str, Any]) -> tuple[str, str, str]:
    return f"{one['rates'][OURS]:.1f}", f"{one['ratio_vs_best']:.2f} {one['best']}", one["plan"]


BUSY_HEAD = ("cell", "plan", "device busy", "link busy", "server busy", "p50 ms", "the other's /s", "BPS /s")


def busy_rows() -> list[tuple[str, ...]]:
    """Where the time goes in the cells of the largest ratios: against the best baseline, and against any."""
    grid = found("grid")
    if not grid:
        return []
    wanted = ((grid["max_vs_best_cell"], "best"), (grid["max_cell"], "least"))
    rows = []
    for place, which in wanted:
        one = next(one for one in grid["cells"] if _place(one) == _place(place))
        rows.append(
            (
                _place(one),
                one["plan"],
                *(f"{one['busy'][lane]:.0%}" for lane in ("device", "link", "server")),
                f"{one['latency_ms']['p50']:.0f}",
                f"{one[which]} {one['rates'][one[which]]:.1f}",
                f"{one['rates'][OURS]:.1f}",
            )
        )
    return rows


def real_table() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Each cell run for real, every policy's answers in time per second, and the accuracy of ours."""
    cells = found("real") or []
    names = list(cells[0]["rates"]) if cells else []
    rows = [
        (
            _place(one),
            *(f"{one['rates'][name]:.1f}" for name in names),
            f"{one['ratio_vs_best']:.2f}",
            f"{one['accuracy']:.1%} ({one['interval'][0]:.1%} to {one['interval'][1]:.1%})",
        )
        for one in cells
    ]
    return ("cell", *names, "bps ÷ best", "accuracy of bps"), rows


LEARNED_HEAD = ("steps", "held-out worlds", "of the planner's reward", "of the oracle's")


def learned_rows() -> list[tuple[str, ...]]:
    """The curve of the zoo's learned policy."""
    lines = (ROOT / "zoo" / "training" / "bps-policy.jsonl").read_text().splitlines()
    return [
        (f"{one['step']:,}", f"{one['worlds']}", _share(one["of_planner"]), _share(one["of_oracle"]))
        for one in map(json.loads, lines)
    ]


def _share(found: list[float]) -> str:
    """A share with its interval."""
    return "{:.1%} ({:.1%} to {:.1%})".format(*found)


VALIDATION_HEAD = ("Mbit/s", "device", "plan", "real /s", "simulated /s", "simulated ÷ real (single rounds)")


def validation_rows() -> list[tuple[str, ...]]:
    """The simulator beside the real thing, one plan a row."""
    return [
        (
            *_where(one),
            one["plan"],
            f"{one['real']:.1f}",
            f"{one['simulated']:.1f}",
            f"{one['simulated_over_real']:.2f} ({', '.join(f'{ratio:.2f}' for ratio in one['rounds'])})",
        )
        for one in found("validation") or ()
    ]


WRONG_HEAD = ("what is wrong", "runs", "tables believed", "corrected", "learned, corrected")


def wrong_rows() -> list[tuple[str, ...]]:
    """Shares of an oracle's rate, the least one of a single run in brackets."""
    return [
        (
            one["mistake"],
            f"{one['runs']}",
            *(
                f"{one['mean'][name]:.1%} ({one['least'][name]:.1%})" if name in one["mean"] else ""
                for name in (UNCORRECTED, OURS, LEARNED)
            ),
        )
        for one in found("wrong") or ()
    ]


STEP_HEAD = ("device", "arrivals", "before", "first new plan", "after", "sent; answered until then", "in the end")


def step_rows() -> list[tuple[str, ...]]:
    """What happens when the link breaks down."""
    return [
        (
            _device(one),
            one["arrivals"],
            one["before"],
            one["new_plan"] or "none",
            *(
                ("", "")
                if one["after_s"] is None
                else (f"{1e3 * one['after_s']:.0f} ms", f"{one['sent']}; {one['answered']}")
            ),
            one["finally"],
        )
        for one in found("step") or ()
    ]


OVERLOAD_HEAD = ("come a second", "in time a second", "without the overload", "frames", "most waiting", "fates")


def overload_rows() -> list[tuple[str, ...]]:
    """An hour of twice what can be done."""
    one = found("overload")
    if not one:
        return []
    fates = ", ".join(f"{fate} {count:,}" for fate, count in sorted(one["fates"].items(), key=lambda pair: -pair[1]))
    rates = (f"{one[key]:.1f}" for key in ("arrivals_per_second", "in_time_per_second", "best_rate"))
    return [(*rates, f"{one['frames']:,}", f"{one['most_waiting']}", fates)]


def _cells(arrivals: str) -> list[dict[str, Any]]:
    return [one for one in (found("grid") or {}).get("cells", ()) if one["arrivals"] == arrivals]


def _where(one: dict[str, Any]) -> tuple[str, str]:
    return f"{one['mbit']:g}", _device(one)


def _device(one: dict[str, Any]) -> str:
    return f"1/{one['slower']}" if one["slower"] > 1 else "1"


def _place(one: dict[str, Any]) -> str:
    return f"{one['mbit']:g} Mbit/s, device {_device(one)}, {one['arrivals']}"
