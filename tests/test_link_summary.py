"""What runs over changing links come to, counted by hand."""

from __future__ import annotations

import link_runs as runs
import link_summary as summary
import link_traces as traces
import numpy as np
import pytest

from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.scheduling.traces import Trace

CELL = traces.Cell("half", LinkTrace(Trace([(0.0, 1e6), (0.4, 5e5)]), 0.02), 0.2, 4)
RUN = runs.Run(
    [
        runs.Asked("answered", 0.1, is_right=True, rounds=1, payload_bytes=100),
        runs.Asked("best effort", 0.15, rounds=1, payload_bytes=300),
        runs.Asked("answered", 0.3, is_right=True, rounds=1, payload_bytes=900),
        runs.Asked("lost", 0.2),
    ],
    wire_bytes=2000,
    late=(),
)


def known(*best: float, unweighed: float = 0.0) -> object:
    """What the oracle chose for four photos."""
    return summary.Known(np.array(best), np.full(len(best), unweighed))


def test_a_cell_is_named_in_mbit():
    """Its trace, rounded for people, its deadline, and what the oracle can do in it."""
    assert summary.cell_of(CELL, known(0.9, 0.0, 0.8, 0.7)) == {
        "trace": "half",
        "steps": [(0.0, 8.0), (0.4, 4.0)],
        "round_trip_ms": 20.0,
        "deadline_ms": 200.0,
        "photos": 4,
        "meetable": 3,
        "oracle_accuracy": pytest.approx(0.8),
    }


def test_only_answers_in_time_count():
    """A late answer is no answer, right or not."""
    assert summary.in_time(RUN, CELL).tolist() == [True, True, False, False]


def test_a_row():
    """Means are over what was answered in time, bytes on the wire over all photos."""
    found = summary.row(RUN, CELL, known(0.9, 0.0, 0.8, 0.7))
    assert (found["in_time"], found["meetable_in_time"], found["right"], found["lost"]) == (2, 1, 1, 1)
    assert (found["accuracy"], found["payload_bytes"], found["wire_bytes"]) == (0.5, 200, 500)
    assert found["latency_ms"]["p50"] == pytest.approx(125)
    assert found["interval"][0] < 0.5 < found["interval"][1]


def test_rows_are_pooled_by_photos():
    """Counts add up, and a policy that never answered has no accuracy."""
    whole = summary.row(RUN, CELL, known(0.9, 0.9, 0.9, 0.9))
    none = summary.row(runs.Run([runs.Asked("rejected", 0.0)] * 4, 0, ()), CELL, known(0.9, 0.9, 0.9, 0.9))
    found = summary.pooled([whole, none], meetable=8)
    assert (found["photos"], found["in_time"], found["share_of_meetable"]) == (8, 2, 0.25)
    assert (found["accuracy"], found["wire_bytes"]) == (0.5, 250)
    nobody = summary.pooled([none], meetable=0)
    assert [nobody[key] for key in ("accuracy", "interval", "share_of_meetable")] == [None, None, None]
    lines = summary.policies_in_words({"photos": 8, "meetable": 8, "policies": {"ours": found, "theirs": nobody}})
    assert "25.0% in time" in lines[1]
    assert "- in time" in lines[2]


def test_points_are_lost_by_misses_and_by_lesser_plans():
    """A miss is worth nothing, and what nobody could have answered is not counted."""
    planned = np.array([0.7, 0.6, 0.9, 0.9])
    found = summary.points_lost(known(0.9, 0.0, 0.9, 0.9, unweighed=0.8), planned, RUN, CELL)
    assert found["points_lost"] == pytest.approx((20 + 90 + 90) / 3)
    assert found["points_lost_answered"] == pytest.approx(20)
    assert found["points_lost_to_the_link"] == pytest.approx(10)
    nothing = summary.points_lost(known(0.0, 0.0, 0.0, 0.0), planned, RUN, CELL)
    assert set(nothing.values()) == {None}


def test_points_for_real_are_photo_by_photo():
    """Their mean, and an interval that shrinks where cells are pooled."""
    oracle = runs.Run([runs.Asked("answered", 0.1, is_right=right) for right in (True, True, False, True)], 0, ())
    points, half = summary.points_lost_for_real(oracle, RUN, CELL)
    assert (points, half) == (50, pytest.approx(1.959964 * 25))
    lost = dict.fromkeys(("points_lost", "points_lost_answered", "points_lost_to_the_link"))
    rows = [{"photos": 4, "meetable_in_time": 0}] * 2
    each = [lost | {"points_lost_for_real": (mean, half)} for mean in (points, 0.0)]
    pooled = summary.pooled_points(each, rows, [0, 0])
    assert pooled["points_lost_for_real"] == [25, pytest.approx(half / np.sqrt(2))]
    assert summary.points_in_words(pooled).startswith("- by the tables, - of these")


def test_means_of_nothing():
    """There are none."""
    assert summary.mean([]) is None
    assert summary.weighted([None], [0]) is None
    assert summary.weighted([None, 3.0], [0, 2]) == 3.0
