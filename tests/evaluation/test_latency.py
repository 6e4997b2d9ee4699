"""Percentiles of stage times."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.evaluation.latency import by_side, latencies
from edge_runtime.messages import Answer


def answer(**timings_ms: float) -> Answer:
    """An answer with these stages."""
    return Answer(np.ones(1, np.float32), 0, "server", 0.0, timings_ms=timings_ms)


def test_each_stage_over_the_answers_that_had_it() -> None:
    """A stage that few answers went through is not diluted by the others."""
    found = latencies([answer(edge=1.0), answer(edge=3.0, link=10.0)], [2.0, 20.0])
    assert found["edge"]["p50"] == pytest.approx(2)
    assert found["link"] == {"p50": 10, "p95": 10}
    assert found["total"]["p95"] == pytest.approx(19.1)


def test_stages_by_where_they_took_place() -> None:
    """The server's stages bear its name, the link is itself, everything else is the device's."""
    sides = by_side({"prefix": 5.0, "encode": 1.0, "link": 20.0, "server_decode": 2.0, "server_compute": 3.0})
    assert sides == {"device": 6.0, "link": 20.0, "server": 5.0}
