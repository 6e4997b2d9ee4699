"""What the race over changing links comes to: figures of single cells, and of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from amot_oracle import typical
from amot_runs import ORACLE, OURS, POLICIES, choices
from link_summary import Known, cell_of, in_time, points_lost, points_lost_for_real, pooled, pooled_points, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amot_runs import Subject
    from link_runs import Asked, Late, Run
    from link_traces import Cell
    from numpy.typing import NDArray


def cell_figures(subject: Subject, cell: Cell, runs: dict[str, Run], late: Late) -> dict[str, Any]:
    """A cell's policies beside what the oracle could have done, and what our planner loses to it.

    ``late`` is how late rounds were before the race; how late ours were in this cell counts as well.
    """
    late_s = typical([*late, *runs[OURS].late])
    known = Known(
        _accuracies(subject, choices(subject, cell, late_s)),
        _accuracies(subject, choices(subject, cell, late_s, weighs=False)),
    )
    planned = np.array([_planned(subject, one) for one in runs[OURS].asked])
    return {
        **cell_of(cell, known),
        **points_lost(known, planned, runs[OURS], cell),
        "points_lost_for_real": points_lost_for_real(runs[ORACLE], runs[OURS], cell),
        "policies": {name: _row(run, cell, known) for name, run in runs.items()},
    }


def overall(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The same figures over the photos of all cells, as `cell_figures` names them."""
    meetable = [cell["meetable"] for cell in cells]
    return {
        "photos": sum(cell["photos"] for cell in cells),
        "meetable": sum(meetable),
        **pooled_points(cells, [cell["policies"][OURS] for cell in cells], meetable),
        "policies": {name: pooled([cell["policies"][name] for cell in cells], sum(meetable)) for name in POLICIES},
    }


def _row(run: Run, cell: Cell, known: Known) -> dict[str, Any]:
    """What every race counts, and second rounds; ``best_effort`` counts photos answered late as well."""
    second = np.array([one.rounds == 2 for one in run.asked], bool)
    return {
        **row(run, cell, known),
        "second_rounds": int((second & in_time(run, cell)).sum()),
        "best_effort": sum(one.fate == "best effort" for one in run.asked),
    }


def _accuracies(subject: Subject, chosen: Sequence[int | None]) -> NDArray[np.float64]:
    """By the tables; 0 for no plan."""
    return np.array([0.0 if place is None else subject.plans.columns.accuracy[place] for place in chosen])


def _planned(subject: Subject, asked: Asked) -> float:
    """The accuracy that the tables have for what was done of a plan; nothing for no plan."""
    plan, tables = asked.plan, subject.tables
    if plan is None:
        return 0.0
    setting = [(one.codec, one.quality) for one in tables.settings].index((plan.codec, plan.quality))
    second, below = plan.second, plan.below
    if asked.fate == "best effort" or not second:
        second, below = 0, tables.below[0]
    found = tables.accuracy[setting][tables.first.index(plan.first)][tables.second.index(second)]
    return found[tables.below.index(below)] or 0.0
