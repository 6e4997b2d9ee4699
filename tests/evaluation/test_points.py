"""Operating points as arithmetic on recorded passes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_runtime.evaluation.passes import EdgePass, ServerPass
from edge_runtime.evaluation.points import Point, cheapest, frontier, gated, ungated, wilson

EDGE = EdgePass(
    label=np.array([0, 1, 2, 3]),
    correct=np.array([True, False, True, False]),
    min_entropy=np.array([0.1, 0.2, 0.9, 1.5]),
    shannon=np.array([0.2, 0.3, 1.9, 2.5]),
    margin=np.array([0.9, 0.8, 0.2, 0.1]),
    scores={},
)
SENT = ServerPass(
    name="last sum 0.97 jpeg q75",
    correct=np.array([True, True, True, True]),
    patches=np.array([10, 20, 30, 40]),
    payload_bytes=np.array([100, 200, 300, 400]),
    wire_bytes=np.array([150, 250, 350, 450]),
)


def point(accuracy: float, wire_bytes: float, cost: float = 0.1) -> Point:
    """A point of which only these matter."""
    return Point("x", "", math.nan, 1, accuracy, 0, 1, 0, 0, cost, 0, wire_bytes)


@pytest.mark.parametrize(("measure", "eta"), [("min-entropy", 0.5), ("shannon", 1.0), ("margin", 0.5)])
def test_a_gate_keeps_the_sure_photos_and_sends_the_others(measure: str, eta: float) -> None:
    """Two photos stay, one of them wrong; the other two cost their patches and bytes."""
    found = gated(EDGE, SENT, 100, measure, eta)  # type: ignore[arg-type]
    assert (found.accuracy, found.share_local, found.patches_per_sent_photo) == (0.75, 0.5, 35.0)
    assert pytest.approx(0.5 * 0.35) == found.cost
    assert (found.payload_bytes, found.wire_bytes) == (700 / 4, 800 / 4)


def test_without_a_gate_every_photo_is_sent() -> None:
    """The server's accuracy, everybody's bytes, and no η in the record."""
    found = ungated(SENT, 100)
    assert (found.accuracy, found.share_local, found.cost) == (1.0, 0.0, 0.25)
    assert found.as_json()["eta"] is None


def test_a_gate_that_keeps_everything_costs_nothing() -> None:
    """No sent photo, no patches to average."""
    found = gated(EDGE, SENT, 100, "min-entropy", 99.0)
    assert (
        found.accuracy,
        found.share_local,
        found.patches_per_sent_photo,
        found.cost,
        found.wire_bytes,
    ) == (0.5, 1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("right", "count", "low", "high"), [(50, 100, 0.4038, 0.5962), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0)]
)
def test_intervals_are_wilsons(right: int, count: int, low: float, high: float) -> None:
    """Known values of the Wilson score interval."""
    assert pytest.approx((low, high), abs=1e-4) == wilson(right, count)


def test_the_cheapest_point_reaches_accuracy_and_cost() -> None:
    """Fewest bytes among those good enough; none when none is."""
    points = [point(0.9, 100), point(0.95, 200, cost=0.5), point(0.95, 300), point(0.99, 400)]
    assert cheapest(points, 0.95, most_cost=0.2).wire_bytes == 300  # type: ignore[union-attr]
    assert cheapest(points, 0.999) is None


def test_the_frontier_drops_points_that_another_beats() -> None:
    """More bytes must buy accuracy."""
    points = [point(0.9, 100), point(0.8, 150), point(0.95, 200), point(0.95, 250)]
    assert [p.wire_bytes for p in frontier(points)] == [100, 200]
