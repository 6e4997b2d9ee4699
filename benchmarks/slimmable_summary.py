"""What the race of modes over changing links comes to: figures of single cells, and of all of them."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from link_summary import POINTS, Known, cell_of, points_lost, points_lost_for_real, pooled, pooled_points, row
from slimmable_oracle import typical
from slimmable_runs import ORACLE, OURS, choices

from edge_runtime.control.modes import BITS
from edge_runtime.messages import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from link_runs import Late, Run
    from link_traces import Cell
    from numpy.typing import NDArray
    from slimmable_runs import Subject


def cell_figures(subject: Subject, cell: Cell, runs: dict[str, Run], late: Late) -> dict[str, Any]:
    """A cell's policies beside what the oracle could have done, and what each of them loses to it.

    ``late`` is how late photos were before the race; how late ours were in this cell counts as well.
    """
    late_s = typical([*late, *runs[OURS].late])
    known = Known(
        _accuracies(subject, choices(subject, cell, late_s)),
        _accuracies(subject, choices(subject, cell, late_s, weighs=False)),
    )
    return {
        **cell_of(cell, known),
        "late_ms": 1e3 * late_s,
        "policies": {name: _row(subject, cell, run, runs[ORACLE], known) for name, run in runs.items()},
    }


def overall(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The same figures over the photos of all cells."""
    meetable = [cell["meetable"] for cell in cells]
    return {
        "photos": sum(cell["photos"] for cell in cells),
        "meetable": sum(meetable),
        "policies": {
            name: _pooled([cell["policies"][name] for cell in cells], meetable) for name in cells[0]["policies"]
        },
    }


def _row(subject: Subject, cell: Cell, run: Run, oracle: Run, known: Known) -> dict[str, Any]:
    """What every race counts, what was lost to the oracle, and the modes; of whole photos tables know nothing."""
    modes = [one.plan for one in run.asked if one.plan]
    lost = points_lost(known, _planned(subject, run), run, cell) if modes else dict.fromkeys(POINTS)
    return {
        **row(run, cell, known),
        **lost,
        "points_lost_for_real": points_lost_for_real(oracle, run, cell),
        "modes": _shares(Counter(modes), cell.photos),
        "switches": sum(one != other for one, other in itertools.pairwise(modes)),
    }


def _pooled(rows: Sequence[dict[str, Any]], meetable: Sequence[int]) -> dict[str, Any]:
    counts: Counter[Mode] = Counter()
    for one in rows:
        for mode in one["modes"]:
            counts[Mode(mode["members"], mode["levels"])] += round(mode["share"] * one["photos"])
    total = pooled(rows, sum(meetable))
    return {
        **total,
        **pooled_points(rows, rows, meetable),
        "modes": _shares(counts, total["photos"]),
        "switches": sum(one["switches"] for one in rows),
    }


def _shares(counts: Counter[Mode], photos: int) -> list[dict[str, Any]]:
    """Of all photos, the most frequent mode first."""
    return [
        {"members": mode.encoders, "bits": BITS[mode.levels], "levels": mode.levels, "share": count / photos}
        for mode, count in counts.most_common()
    ]


def _accuracies(subject: Subject, chosen: Sequence[int | None]) -> NDArray[np.float64]:
    """By the table; 0 for no mode."""
    return np.array([0.0 if place is None else subject.table.modes[place].accuracy for place in chosen])


def _planned(subject: Subject, run: Run) -> NDArray[np.float64]:
    """The same of what was meant to be done about each photo."""
    accuracy = {one.mode: one.accuracy for one in subject.table.modes}
    return np.array([0.0 if one.plan is None else accuracy[one.plan] for one in run.asked])
