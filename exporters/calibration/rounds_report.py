"""What calibrating two rounds says to people: how good the plans are, and what the light update costs and saves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.control.round_plans import RoundPlans
from exporters.calibration.rounds_passes import WEIGHTS, probed
from exporters.calibration.rounds_tables import right

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.control.rounds import RoundTables
    from exporters.calibration.rounds_axes import Axes
    from exporters.calibration.rounds_passes import Passes

    F64 = NDArray[np.float64]

# Of a normal distribution, for intervals that hold 95 %.
DEVIATIONS = 1.96


def round_report(axes: Axes, passes: Passes, labels: NDArray[np.int64], tables: RoundTables) -> dict[str, object]:
    """Everything by name; lists of records are tables."""
    return {
        "photos": tables.photos,
        "temperatures": dict(
            zip(map(str, tables.temperatures.counts), tables.temperatures.values, strict=True),
        ),
        "light": _light(passes, labels, slice(1, None)),
        "light_by_second": [
            {"second": count, **_light(passes, labels, slice(k, k + 1))} for k, count in enumerate(axes.second) if count
        ],
        "uncertainty_weights": _weights(axes, passes, labels),
        "frontier": _frontier(tables),
    }


def _light(passes: Passes, labels: NDArray[np.int64], seconds: slice) -> dict[str, Any]:
    """The light update beside the same patches computed from their start, over every pair with that many of them.

    ``drift`` is the mean of the logits' distance over the length of the full ones; ``changed`` a share of answers;
    ``difference`` light less full accuracy, with the ends of its 95 % interval over photos; ``time`` light over full,
    the median of pairs that were computed one after the other.
    """
    light, full = passes.logits[:, :, :, seconds], passes.full[:, :, :, seconds]
    paired = ~np.isnan(full[..., 0])
    if not paired.any():
        return {"pairs": 0}
    ours, theirs = light[paired], full[paired]
    answers = {name: np.where(paired, right(one, labels), np.nan) for name, one in (("light", light), ("full", full))}
    drift = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    times = passes.update_ms[:, :, :, seconds][paired] / passes.full_ms[:, :, :, seconds][paired]
    return {
        "photos": int(paired.any(axis=(1, 2, 3)).sum()),
        "pairs": len(ours),
        "drift": _rounded(drift.mean()),
        "changed": _rounded((ours.argmax(axis=1) != theirs.argmax(axis=1)).mean()),
        "light": _rounded(np.nanmean(answers["light"])),
        "full": _rounded(np.nanmean(answers["full"])),
        "difference": _interval(_photo_means(answers["light"] - answers["full"])),
        "time": _rounded(np.median(times)),
    }


def _weights(axes: Axes, passes: Passes, labels: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Accuracy of one second round, whatever the confidence, by how much the recovery's uncertainty weighs in it."""
    answers = right(passes.weighted, labels)
    if np.isnan(answers).any():
        return []
    s, f, k = probed(axes)
    setting = axes.settings[s]
    return [
        {
            "weight": weight,
            "accuracy": _rounded(answers[:, place].mean()),
            "difference": _interval(answers[:, place] - answers[:, 0]),
            "codec": setting.codec,
            "quality": setting.quality,
            "first": axes.first[f],
            "second": axes.second[k],
        }
        for place, weight in enumerate(WEIGHTS)
    ]


def _frontier(tables: RoundTables) -> list[dict[str, Any]]:
    """Plans of which none with as few bytes is more accurate, by the mean bytes of both rounds on the link.

    The best of many noisy figures look better than they are.
    """
    columns = RoundPlans(tables, None, 0.0).columns
    found = []
    best = -1.0
    for plan in np.lexsort((-columns.accuracy, columns.expected_bytes)):
        if columns.accuracy[plan] > best:
            best = float(columns.accuracy[plan])
            setting = tables.settings[columns.setting[plan]]
            second = tables.second[columns.second[plan]]
            found.append(
                {
                    "bytes": round(float(columns.expected_bytes[plan])),
                    "accuracy": best,
                    "codec": setting.codec,
                    "quality": setting.quality,
                    "first": tables.first[columns.first[plan]],
                    "second": second,
                    "below": tables.below[columns.below[plan]] if second else 0.0,
                    "asked": float(columns.asked[plan]),
                }
            )
    return found


def _photo_means(values: F64) -> F64:
    """Of ``[P, ...]``, for the photos that have any."""
    by_photo = values.reshape(len(values), -1)
    return np.array([np.nanmean(row) for row in by_photo if not np.isnan(row).all()])


def _interval(values: F64) -> list[float]:
    """Mean, and the ends of its 95 % interval."""
    mean, error = values.mean(), values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return [_rounded(mean), _rounded(mean - DEVIATIONS * error), _rounded(mean + DEVIATIONS * error)]


def _rounded(value: np.floating[Any]) -> float:
    return round(float(value), 5)
