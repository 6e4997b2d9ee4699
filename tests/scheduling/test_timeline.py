"""The accounts of a run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from edge_runtime.scheduling.dispatch import Job
from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.timeline import Outcome, Timeline, order_problems, write_trace


@pytest.fixture
def timeline() -> Timeline:
    """Four frames in two seconds: answered by either side, too late, dropped; and one request."""
    run = Timeline(duration_s=2.0, sent_bytes=600)
    run.outcomes = [
        Outcome(0, 0.0, 0.1, 1.0, "device", "local(1)"),
        Outcome(1, 0.0, 0.3, 1.0, "server", "remote(2)"),
        Outcome(2, 0.0, 1.5, 1.0, "fallback", "local(1)"),
        Outcome(3, 0.0, 1.5, 1.0, "dropped"),
    ]
    job: Job[int] = Job(7, Plan("remote", 2, "", "jpeg q75"), (1, 2), True, 0.0)
    run.span("device", 0.0, 0.5, job)
    run.span("link", 1.5, 2.5, job)
    run.span("device", 0.5, 0.6, Job(8, LOCAL, (0,), False, 0.5))
    return run


def test_only_answers_in_time_count(timeline: Timeline) -> None:
    """One that came after its deadline, or never, is none."""
    assert timeline.rate() == 1.0
    assert timeline.summary()["in_time"] == 2


def test_a_summary_has_every_fate_and_the_share_that_each_lane_was_busy(timeline: Timeline) -> None:
    """Only the part of a span that lies in the run counts."""
    summary = timeline.summary()
    assert summary["fates"] == {"device": 1, "server": 1, "fallback": 1, "dropped": 1}
    assert summary["busy"] == pytest.approx({"device": 0.3, "link": 0.25, "server": 0.0})
    assert summary["sent_bytes_per_answer"] == 200
    assert summary["latency_ms"]["p50"] == pytest.approx(300)
    assert summary["plans"] == {"local(1)": 2, "remote(2)": 1}


def test_requests_that_share_a_run_keep_the_server_busy_once(timeline: Timeline) -> None:
    """Two spans of the same half second, and one that begins in it: 0.7 of two seconds."""
    for number, start_s, end_s in ((1, 0.0, 0.5), (2, 0.0, 0.5), (3, 0.4, 0.7)):
        timeline.span("server", start_s, end_s, Job(number, Plan("remote", 1, "", "jpeg q75"), (0,), True, 0.0))
    assert timeline.summary()["busy"]["server"] == pytest.approx(0.35)


def test_a_run_without_answers_has_a_summary_too() -> None:
    """No latency and no bytes per answer, rather than a division by zero."""
    summary = Timeline(duration_s=1.0).summary()
    assert summary["latency_ms"] == {"p50": None, "p95": None}
    assert summary["sent_bytes_per_answer"] is None


def test_answers_over_time_add_up(timeline: Timeline) -> None:
    """Windows of half a second, two answers in the first."""
    middles, rates = timeline.over_time(0.5)
    assert middles == [0.25, 0.75, 1.25, 1.75]
    assert rates == [4.0, 0.0, 0.0, 0.0]


def test_a_plan_is_noted_when_it_changes() -> None:
    """Not each time it is chosen again."""
    run = Timeline()
    for time, name in enumerate(["a", "a", "b", "a"]):
        run.note_plan(time, name)
    assert run.plans == [(0, "a"), (2, "b"), (3, "a")]


def test_a_trace_file_has_every_span_in_its_lane(timeline: Timeline, tmp_path: Path) -> None:
    """In microseconds, as trace viewers expect."""
    write_trace(timeline, tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    lanes = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    spans = [(lanes[e["tid"]], e["ts"], e["dur"], e["name"]) for e in events if e["ph"] == "X"]
    assert ("link", 1.5e6, 1e6, "remote(2, jpeg q75)") in spans
    assert any(lane == "device" and name == "local(1)" for lane, _, _, name in spans)
    assert len(spans) == 3


def test_frames_without_or_with_two_outcomes_are_named(timeline: Timeline) -> None:
    """The accounts of a run must balance."""
    assert order_problems(timeline, range(4)) == []
    timeline.outcomes.append(Outcome(3, 0.0, 1.6, math.inf, "device"))
    assert order_problems(timeline, range(5)) == ["frame 4: no outcome", "frame 3: 2 outcomes"]
