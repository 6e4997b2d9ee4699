"""What the race over changing links comes to: figures of single cells, and of all of them."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from amot_oracle import typical
from amot_runs import ORACLE, OURS, POLICIES, choices

from edge_runtime.evaluation.points import Z95, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amot_oracle import Late
    from amot_runs import Asked, Cell, Run, Subject
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

QUANTILES = (0.5, 0.95)


def cell_figures(subject: Subject, cell: Cell, runs: dict[str, Run], late: Late) -> dict[str, Any]:
    """A cell's policies beside what the oracle could have done.

    ``late`` is how late rounds were before the race; how late ours were in this cell counts as well. ``points_lost``
    are those of our plans against the oracle's, by the tables: over all photos that it could answer in time, where a
    miss is worth nothing, and over those of them that we did. ``points_lost_to_the_link`` are the latter against an
    oracle that knows the link alone and cannot weigh the photo, as we cannot; none where that one has no plan.
    ``points_lost_for_real`` are those of our answers against those that the oracle's plans got, with the half width of
    their 95 % interval; there a miss is a wrong answer.
    """
    late_s = typical([*late, *runs[OURS].late])
    best = _accuracies(subject, choices(subject, cell, late_s))
    unweighed = _accuracies(subject, choices(subject, cell, late_s, weighs=False))
    meetable, ours = best > 0, in_time(runs[OURS], cell)
    planned = np.where(ours, [_planned(subject, one) for one in runs[OURS].asked], 0.0)
    missing = 100 * (best - planned)
    return {
        "trace": cell.name,
        "steps": [(round(at_s, 3), round(8e-6 * rate, 3)) for at_s, rate in cell.link.bandwidth.steps],
        "round_trip_ms": 1e3 * cell.link.round_trip_s,
        "deadline_ms": 1e3 * cell.deadline_s,
        "photos": cell.photos,
        "meetable": int(meetable.sum()),
        "oracle_accuracy": _mean(best[meetable]),
        "points_lost": _mean(missing[meetable]),
        "points_lost_answered": _mean(missing[meetable & ours]),
        "points_lost_to_the_link": _mean(np.where(unweighed > 0, 100 * (unweighed - planned), 0.0)[meetable & ours]),
        "points_lost_for_real": _difference(_right(runs[ORACLE], cell), _right(runs[OURS], cell)),
        "policies": {name: _row(run, cell, meetable) for name, run in runs.items()},
    }


def overall(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The same figures over the photos of all cells, as `cell_figures` names them."""
    meetable = [cell["meetable"] for cell in cells]
    answered = [cell["policies"][OURS]["meetable_in_time"] for cell in cells]
    photos = np.array([cell["photos"] for cell in cells])
    means, halves = np.array([cell["points_lost_for_real"] for cell in cells]).T
    return {
        "photos": int(photos.sum()),
        "meetable": sum(meetable),
        "points_lost": _weighted([cell["points_lost"] for cell in cells], meetable),
        "points_lost_answered": _weighted([cell["points_lost_answered"] for cell in cells], answered),
        "points_lost_to_the_link": _weighted([cell["points_lost_to_the_link"] for cell in cells], answered),
        "points_lost_for_real": [
            float(photos @ means / photos.sum()),
            float(math.sqrt(((photos * halves) ** 2).sum()) / photos.sum()),
        ],
        "policies": {name: _pooled([cell["policies"][name] for cell in cells], sum(meetable)) for name in POLICIES},
    }


def _row(run: Run, cell: Cell, meetable: Flags) -> dict[str, Any]:
    """Counts of photos, and means over those that were answered in time; ``wire_bytes`` are per photo of all."""
    flags = in_time(run, cell)
    answered = [one for one, is_in_time in zip(run.asked, flags, strict=True) if is_in_time]
    fates = Counter(one.fate for one in run.asked)
    return {
        "photos": cell.photos,
        "in_time": len(answered),
        "meetable_in_time": int((flags & meetable).sum()),
        "right": sum(one.is_right for one in answered),
        "accuracy": _mean([one.is_right for one in answered]),
        "interval": wilson(sum(one.is_right for one in answered), len(answered)) if answered else None,
        "payload_bytes": _mean([one.payload_bytes for one in answered]),
        "wire_bytes": run.wire_bytes / cell.photos,
        "second_rounds": sum(one.rounds == 2 for one in answered),
        "best_effort": fates["best effort"],
        "lost": fates["lost"],
        "unasked": fates["unasked"],
        "rejected": fates["rejected"],
        "latency_ms": {f"p{100 * share:g}": _quantile_ms(answered, share) for share in QUANTILES},
    }


def _pooled(rows: Sequence[dict[str, Any]], meetable: int) -> dict[str, Any]:
    sums = {
        key: sum(row[key] for row in rows)
        for key in ("photos", "in_time", "meetable_in_time", "right", "lost", "unasked")
    }
    return {
        **sums,
        "share_of_meetable": sums["meetable_in_time"] / meetable if meetable else None,
        "accuracy": sums["right"] / sums["in_time"] if sums["in_time"] else None,
        "interval": wilson(sums["right"], sums["in_time"]) if sums["in_time"] else None,
        "wire_bytes": _weighted([row["wire_bytes"] for row in rows], [row["photos"] for row in rows]),
    }


def _accuracies(subject: Subject, chosen: Sequence[int | None]) -> NDArray[np.float64]:
    """By the tables; 0 for no plan."""
    return np.array([0.0 if place is None else subject.plans.columns.accuracy[place] for place in chosen])


def in_time(run: Run, cell: Cell) -> Flags:
    """Which of the photos of a cell were answered before their deadline."""
    return np.array(
        [one.fate in {"answered", "best effort"} and one.latency_s <= cell.deadline_s for one in run.asked], bool
    )


def _right(run: Run, cell: Cell) -> Flags:
    return np.array([one.is_right for one in run.asked], bool) & in_time(run, cell)


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


def _difference(theirs: Flags, ours: Flags) -> tuple[float, float]:
    """Mean difference in points, photo by photo, and the half width of its 95 % interval."""
    points = 100 * (theirs.astype(float) - ours.astype(float))
    return float(points.mean()), float(Z95 * points.std() / math.sqrt(len(points)))


def _quantile_ms(answered: Sequence[Asked], share: float) -> float | None:
    return 1e3 * float(np.quantile([one.latency_s for one in answered], share)) if answered else None


def _mean(values: Sequence[float] | NDArray[np.float64]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _weighted(means: Sequence[float | None], counts: Sequence[int]) -> float | None:
    """The mean over all, of the means of parts that have so many each; a part of none has no mean."""
    total = sum(counts)
    return sum((mean or 0.0) * count for mean, count in zip(means, counts, strict=True)) / total if total else None
