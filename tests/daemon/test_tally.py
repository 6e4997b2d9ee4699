"""Counts of a source's frames, for Prometheus and for the page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_runtime.daemon.metrics import Metrics
from edge_runtime.daemon.tally import LAST, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.daemon.frames import Record
    from edge_runtime.daemon.state import SourceState

    Make = Callable[..., Record]


def state(tally: Tally) -> SourceState:
    """As it stands, with nothing waiting."""
    return tally.state("http", "attention", 0, 0)


@pytest.fixture
def record(one_record: Record) -> Callable[..., Record]:
    """Makes records that differ so from another."""
    return partial(msgspec.structs.replace, one_record)


@pytest.fixture
def metrics() -> Metrics:
    """Nothing counted yet."""
    return Metrics()


@pytest.fixture
def tally(metrics: Metrics) -> Tally:
    """A source's counts."""
    return Tally("gate", metrics)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One sample of Prometheus's; None where there is none."""
    return metrics.registry.get_sample_value(f"edge_runtime_{name}", {"source": "gate"} | labels)


def test_every_frame_is_counted_once_whatever_became_of_it(tally: Tally, record: Make, metrics: Metrics) -> None:
    """Answered, dropped or refused; the page and Prometheus say the same."""
    for one in (
        record(),
        record(decided_by="edge", payload_bytes=0),
        record(decided_by="none", payload_bytes=0, in_time=False),
    ):
        tally.answered(one)
    tally.dropped("full")
    tally.dropped("full")
    tally.dropped("rate")
    tally.refused()
    found = state(tally)
    assert found.frames == 7
    assert found.answers == {"server": 1, "edge": 1, "none": 1}
    assert (found.dropped, found.refused, found.late) == ({"full": 2, "rate": 1}, 1, 1)
    assert (found.payload_bytes, found.whole_bytes) == (1234, 3 * 9876)
    assert value(metrics, "frames_total") == 7
    assert value(metrics, "answers_total", decided_by="edge") == 1
    assert value(metrics, "dropped_frames_total", reason="full") == 2
    assert value(metrics, "refused_photos_total") == value(metrics, "late_answers_total") == 1
    assert value(metrics, "payload_bytes_total") == 1234
    assert value(metrics, "whole_photo_bytes_total") == 3 * 9876


def test_seconds_are_put_into_buckets(tally: Tally, record: Make, metrics: Metrics) -> None:
    """Records are in milliseconds, Prometheus wants seconds."""
    tally.answered(record(latency_ms=40.0, timings_ms={"edge": 4.0}))
    assert value(metrics, "answer_seconds_sum") == pytest.approx(0.04)
    assert value(metrics, "answer_seconds_bucket", le="0.025") == 0
    assert value(metrics, "answer_seconds_bucket", le="0.05") == 1
    assert value(metrics, "stage_seconds_sum", stage="edge") == pytest.approx(0.004)


def test_what_waits_is_shown_as_it_is_now(tally: Tally, metrics: Metrics) -> None:
    """Gauges go down too."""
    tally.waiting(5, 2)
    tally.waiting(3, 1)
    assert (value(metrics, "queued_frames"), value(metrics, "frames_in_flight")) == (3, 1)


def test_stages_are_means_over_all_frames(tally: Tally, record: Make) -> None:
    """A stage that half of the frames have counts half, so that stages add up to the whole."""
    assert state(tally).stages_ms == state(tally).latency_ms == {}
    tally.answered(record(timings_ms={"decode": 4.0, "link": 20.0}))
    tally.answered(record(timings_ms={"decode": 2.0}))
    assert state(tally).stages_ms == {"decode": 3.0, "link": 10.0}


def test_percentiles_look_back_on_the_last_frames_only(tally: Tally, record: Make) -> None:
    """What was slow an hour ago is no news, and memory does not grow."""
    tally.answered(record(latency_ms=1e6))
    for number in range(LAST):
        tally.answered(record(latency_ms=float(number)))
    found = state(tally).latency_ms
    assert found["p50"] == pytest.approx((LAST - 1) / 2)
    assert found["p99"] < LAST
    assert state(tally).frames == LAST + 1


def test_audits_are_no_frames(tally: Tally, metrics: Metrics) -> None:
    """They are counted by outcome."""
    for outcome in ("agreed", "agreed", "disagreed", "lost"):
        tally.audited(outcome)
    assert state(tally).audits == {"agreed": 2, "disagreed": 1, "lost": 1}
    assert state(tally).frames == 0
    assert value(metrics, "audits_total", outcome="agreed") == 2


def test_a_changed_source_begins_anew_on_the_page_and_goes_on_for_prometheus(metrics: Metrics, record: Make) -> None:
    """A counter that falls would be taken for a restart."""
    Tally("gate", metrics).answered(record())
    fresh = Tally("gate", metrics)
    fresh.answered(record())
    assert state(fresh).frames == 1
    assert value(metrics, "frames_total") == 2
