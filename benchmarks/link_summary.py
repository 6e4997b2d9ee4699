"""What runs over changing links come to: a policy's answers in one cell and in all, and what it loses to an oracle."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime.evaluation.points import Z95, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from link_runs import Asked, Run
    from link_traces import Cell
    from numpy.typing import NDArray

    F64 = NDArray[np.float64]
    Flags = NDArray[np.bool_]

QUANTILES = (0.5, 0.95)
POINTS = ("points_lost", "points_lost_answered", "points_lost_to_the_link")


class Known(NamedTuple):
    """The accuracy, by the tables, of an oracle's choice for each photo of a cell: float64 ``[photos]``, 0 for none.

    ``best`` is that of one who knows link and photo, ``unweighed`` of one who knows the link alone.
    """

    best: F64
    unweighed: F64

    @property
    def meetable(self) -> Flags:
        """The photos that can be answered in time."""
        return self.best > 0


def cell_of(cell: Cell, known: Known) -> dict[str, Any]:
    """What tells a cell from others, and what could be done in it; ``steps`` are seconds and Mbit/s."""
    return {
        "trace": cell.name,
        "steps": [(round(at_s, 3), round(8e-6 * rate, 3)) for at_s, rate in cell.link.bandwidth.steps],
        "round_trip_ms": 1e3 * cell.link.round_trip_s,
        "deadline_ms": 1e3 * cell.deadline_s,
        "photos": cell.photos,
        "meetable": int(known.meetable.sum()),
        "oracle_accuracy": mean(known.best[known.meetable]),
    }


def in_time(run: Run, cell: Cell) -> Flags:
    """Which of the photos of a cell were answered before their deadline."""
    return np.array(
        [one.fate in {"answered", "best effort"} and one.latency_s <= cell.deadline_s for one in run.asked], bool
    )


def row(run: Run, cell: Cell, known: Known) -> dict[str, Any]:
    """Counts of photos, and means over those that were answered in time; ``wire_bytes`` are per photo of all."""
    flags = in_time(run, cell)
    answered = [one for one, is_in_time in zip(run.asked, flags, strict=True) if is_in_time]
    fates = Counter(one.fate for one in run.asked)
    return {
        "photos": cell.photos,
        "in_time": len(answered),
        "meetable_in_time": int((flags & known.meetable).sum()),
        "right": sum(one.is_right for one in answered),
        "accuracy": mean([one.is_right for one in answered]),
        "interval": wilson(sum(one.is_right for one in answered), len(answered)) if answered else None,
        "payload_bytes": mean([one.payload_bytes for one in answered]),
        "wire_bytes": run.wire_bytes / cell.photos,
        "lost": fates["lost"],
        "unasked": fates["unasked"],
        "rejected": fates["rejected"],
        "latency_ms": {f"p{100 * share:g}": _quantile_ms(answered, share) for share in QUANTILES},
    }


def pooled(rows: Sequence[dict[str, Any]], meetable: int) -> dict[str, Any]:
    """One policy's rows of several cells, in which so many photos could be answered in time."""
    sums = {
        key: sum(one[key] for one in rows)
        for key in ("photos", "in_time", "meetable_in_time", "right", "lost", "unasked")
    }
    return {
        **sums,
        "share_of_meetable": sums["meetable_in_time"] / meetable if meetable else None,
        "accuracy": sums["right"] / sums["in_time"] if sums["in_time"] else None,
        "interval": wilson(sums["right"], sums["in_time"]) if sums["in_time"] else None,
        "wire_bytes": weighted([one["wire_bytes"] for one in rows], [one["photos"] for one in rows]),
    }


def points_lost(known: Known, planned: F64, run: Run, cell: Cell) -> dict[str, float | None]:
    """By the tables, what a policy loses to the oracle in a cell.

    ``planned`` is their accuracy for what it meant to do about each photo, float64 ``[photos]``. ``points_lost`` is
    over all photos that the oracle could answer in time, where a miss is worth nothing, ``points_lost_answered`` over
    those of them that the policy did. ``points_lost_to_the_link`` are the latter against an oracle that knows the link
    alone and cannot weigh the photo; none where that one has no answer.
    """
    ours = in_time(run, cell)
    worth = np.where(ours, planned, 0.0)
    missing, unweighed = 100 * (known.best - worth), 100 * (known.unweighed - worth)
    answered = known.meetable & ours
    return {
        "points_lost": mean(missing[known.meetable]),
        "points_lost_answered": mean(missing[answered]),
        "points_lost_to_the_link": mean(np.where(known.unweighed > 0, unweighed, 0.0)[answered]),
    }


def points_lost_for_real(oracle: Run, run: Run, cell: Cell) -> tuple[float, float]:
    """By the answers, photo by photo: the mean, and the half width of its 95 % interval; a miss is a wrong answer."""
    points = 100 * (_right(oracle, cell).astype(float) - _right(run, cell).astype(float))
    return float(points.mean()), float(Z95 * points.std() / math.sqrt(len(points)))


def pooled_points(
    lost: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]], meetable: Sequence[int]
) -> dict[str, Any]:
    """What a policy loses over several cells of so many meetable photos, from what it ``lost`` in each and its rows."""
    answered, photos = ([one[key] for one in rows] for key in ("meetable_in_time", "photos"))
    means, halves = np.array([one["points_lost_for_real"] for one in lost]).T
    spread = math.sqrt(((np.array(photos) * halves) ** 2).sum()) / sum(photos)
    return {
        "points_lost": weighted([one["points_lost"] for one in lost], meetable),
        "points_lost_answered": weighted([one["points_lost_answered"] for one in lost], answered),
        "points_lost_to_the_link": weighted([one["points_lost_to_the_link"] for one in lost], answered),
        "points_lost_for_real": [weighted(list(means), photos), float(spread)],
    }


def mean(values: Sequence[float] | F64) -> float | None:
    """None of no values."""
    return float(np.mean(values)) if len(values) else None


def weighted(means: Sequence[float | None], counts: Sequence[int]) -> float | None:
    """The mean over all parts that have one, of so many each; None of no parts."""
    parts = [(part, count) for part, count in zip(means, counts, strict=True) if part is not None]
    total = sum(count for _, count in parts)
    return sum(part * count for part, count in parts) / total if total else None


def policies_in_words(overall: dict[str, Any]) -> list[str]:
    """What could be done in all cells, then a line for each policy."""
    lines = [f"Of {overall['photos']} photos the oracle could answer {overall['meetable']} in time; of these"]
    width = max(len(name) for name in overall["policies"])
    for name, one in overall["policies"].items():
        share, accuracy = _percent(one["share_of_meetable"]), _percent(one["accuracy"])
        lines.append(
            f"  {name:{width}} {share:>6} in time, {one['lost']} lost, {one['unasked']} unasked; "
            f"{accuracy:>6} of all answers right, {one['wire_bytes']:.0f} bytes a photo"
        )
    return lines


def points_in_words(lost: dict[str, Any]) -> str:
    """What one of them lost to the oracle."""
    by_tables, without_misses = (
        "-" if lost[key] is None else f"{lost[key]:.2f}" for key in ("points_lost", "points_lost_answered")
    )
    real, half = lost["points_lost_for_real"]
    return f"{by_tables} by the tables, {without_misses} of these not by misses; {real:.2f} ± {half:.2f} for real"


def _right(run: Run, cell: Cell) -> Flags:
    return np.array([one.is_right for one in run.asked], bool) & in_time(run, cell)


def _quantile_ms(answered: Sequence[Asked], share: float) -> float | None:
    return 1e3 * float(np.quantile([one.latency_s for one in answered], share)) if answered else None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
