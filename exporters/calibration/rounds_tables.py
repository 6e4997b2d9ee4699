"""From photos that went through every plan to the tables of two rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.control.rounds import Bytes, RoundTables, ServerTimes
from exporters.calibration.rounds_temperatures import fit_temperatures, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.control.rounds import Temperatures
    from exporters.calibration.rounds_axes import Axes
    from exporters.calibration.rounds_passes import Passes

    F64 = NDArray[np.float64]

# What is rarely exceeded.
MOST_PERCENT = 95


def round_tables(axes: Axes, passes: Passes, labels: NDArray[np.int64]) -> RoundTables:
    """The whole file, of the passes ``[P, ...]`` of P photos with those ``labels [P]``."""
    temperatures = _temperatures(axes, passes, labels)
    unsure = _unsure(axes, passes, temperatures)
    return RoundTables(
        photos=len(labels),
        settings=axes.settings,
        first=axes.first,
        second=axes.second,
        below=axes.below,
        temperatures=temperatures,
        accuracy=_table(_accuracy(passes, labels, unsure)),
        asked=_table(unsure.mean(axis=0)),
        first_bytes=_sizes(passes.first_bytes),
        # Of all first rounds: a patch does not know how many came before it.
        second_bytes=_sizes(np.concatenate(np.moveaxis(passes.second_bytes, 2, 0))),
        server_ms=_server_times(passes),
    )


def right(logits: F64, labels: NDArray[np.int64]) -> F64:
    """1 where the answer of ``logits [P, ..., classes]`` is its photo's label, else 0; NaN where there is none."""
    per_photo = labels.reshape(-1, *[1] * (logits.ndim - 2))
    answers: F64 = np.where(np.isnan(logits[..., 0]), np.nan, logits.argmax(axis=-1) == per_photo)
    return answers


def _temperatures(axes: Axes, passes: Passes, labels: NDArray[np.int64]) -> Temperatures:
    """Of all answers, whatever setting and round."""
    visible = np.add.outer(np.array(axes.first), np.array(axes.second))
    known = ~np.isnan(passes.logits[..., 0])
    photos, _, first, second = np.nonzero(known)
    most = int(visible[first, second].max())
    counts = [*axes.first, most] if most > axes.first[-1] else axes.first
    return fit_temperatures(passes.logits[known], labels[photos], visible[first, second], counts)


def _unsure(axes: Axes, passes: Passes, temperatures: Temperatures) -> NDArray[np.bool_]:
    """Whether the first answer's confidence is below each of the axis: ``[P, S, F, B]``."""
    by_count = np.interp(axes.first, temperatures.counts, temperatures.values)
    confidence = softmax(passes.logits[:, :, :, 0] / by_count[:, np.newaxis]).max(axis=-1)
    # In float32, as the server's are: what rounds to 1 is not below it.
    unsure: NDArray[np.bool_] = confidence.astype(np.float32)[..., np.newaxis] < np.array(axes.below)
    return unsure


def _accuracy(passes: Passes, labels: NDArray[np.int64], unsure: NDArray[np.bool_]) -> F64:
    """Share of photos answered right, ``[S, F, K, B]``: the second answer counts where the first is unsure."""
    answers = right(passes.logits, labels)[..., np.newaxis]
    decided = np.where(unsure[:, :, :, np.newaxis], answers, answers[:, :, :, :1])
    accuracy: F64 = np.where(np.isnan(answers).any(axis=0), np.nan, decided.mean(axis=0))
    return accuracy


def _table(values: F64) -> Any:
    """Nested tuples of shares, None where there is none."""
    if values.ndim:
        return tuple(_table(row) for row in values)
    return None if np.isnan(values) else round(float(values), 5)


def _sizes(sizes: F64) -> tuple[tuple[Bytes, ...], ...]:
    """Of payloads ``[n, S, counts]``, NaN where there is none."""
    return tuple(tuple(_bytes(sizes[:, s, count]) for count in range(sizes.shape[2])) for s in range(sizes.shape[1]))


def _bytes(sizes: F64) -> Bytes:
    known = sizes[~np.isnan(sizes)]
    if not len(known):
        return Bytes(0, 0)
    return Bytes(round(float(known.mean()), 1), round(float(np.percentile(known, MOST_PERCENT)), 1))


def _server_times(passes: Passes) -> ServerTimes:
    first = [_median(passes.first_ms[:, :, f]) for f in range(passes.first_ms.shape[2])]
    update = [_median(passes.update_ms[..., k]) for k in range(passes.update_ms.shape[3])]
    return ServerTimes(tuple(first), tuple(update))


def _median(times: F64) -> float:
    known = times[~np.isnan(times)]
    return round(float(np.median(known)), 3) if len(known) else 0.0
