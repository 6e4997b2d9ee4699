"""What stage times say: median and 95th percentile of the whole and of each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_runtime.messages import Answer

Latencies = dict[str, dict[str, float]]


def latencies(answers: Sequence[Answer], taken_ms: Sequence[float]) -> Latencies:
    """``p50`` and ``p95`` in milliseconds of ``total`` (``taken_ms``) and of each stage that had any."""
    return percentiles([{"total": taken, **answer.timings_ms} for answer, taken in zip(answers, taken_ms, strict=True)])


def percentiles(records: Sequence[Mapping[str, float]]) -> Latencies:
    """``p50`` and ``p95`` of each key, over the records that have it."""
    stages: dict[str, list[float]] = {}
    for record in records:
        for stage, taken in record.items():
            stages.setdefault(stage, []).append(taken)
    return {
        stage: {"p50": float(np.percentile(taken, 50)), "p95": float(np.percentile(taken, 95))}
        for stage, taken in stages.items()
    }


def by_side(timings_ms: Mapping[str, float]) -> dict[str, float]:
    """An answer's stages summed by where they took place: ``device``, ``link`` and ``server``."""
    sides = {"device": 0.0, "link": 0.0, "server": 0.0}
    for stage, taken in timings_ms.items():
        sides["server" if stage.startswith("server_") else "link" if stage == "link" else "device"] += taken
    return sides
