"""Traces of links and loads, and arrivals."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling import traces
from edge_runtime.scheduling.traces import Trace


def test_a_trace_keeps_its_value_until_the_next_step() -> None:
    """Before the first step it has the first value."""
    trace = Trace([(1, 10), (2, 20)])
    assert [trace.at(time) for time in (0, 1, 1.9, 2, 99)] == [10, 10, 10, 20, 20]


def test_an_amount_is_through_when_the_rates_have_carried_it() -> None:
    """Ten a second for a second, then twenty: thirty take two seconds."""
    trace = Trace([(0, 10), (1, 20)])
    assert trace.finish(0, 5) == pytest.approx(0.5)
    assert trace.finish(0, 30) == pytest.approx(2)
    assert trace.finish(5, 30) == pytest.approx(6.5)


@given(
    st.lists(st.floats(0.1, 1000), min_size=1, max_size=20),
    st.floats(0, 30),
    st.floats(0.1, 5000),
    st.floats(0.1, 5000),
)
def test_two_amounts_one_after_the_other_take_as_long_as_their_sum(
    values: list[float], start: float, one: float, other: float
) -> None:
    """Finishing is integration: it does not matter where the amount is cut in two."""
    trace = Trace(list(enumerate(values)))
    assert trace.finish(trace.finish(start, one), other) == pytest.approx(trace.finish(start, one + other))


@pytest.mark.parametrize("steps", [[], [(0, 0)], [(0, 1), (0, 2)], [(1, 1), (0, 2)]])
def test_steps_that_make_no_trace_are_refused(steps: list[tuple[float, float]]) -> None:
    """None at all, a value that is not positive, times that do not rise."""
    with pytest.raises(ArgumentError, match="trace"):
        Trace(steps)


def test_random_traces_keep_their_bounds_and_repeat_by_seed() -> None:
    """A walk stays between its ends, a Markov trace on its levels."""
    walk = traces.random_walk(1e4, 1e6, every_s=1, duration_s=300, seed=3)
    jumps = traces.markov([1.0, 2.0, 8.0], stay_s=5, duration_s=300, seed=3)
    assert all(1e4 * 0.999 <= value <= 1e6 * 1.001 for _, value in walk.steps)
    assert {value for _, value in jumps.steps} == {1.0, 2.0, 8.0}
    assert walk.steps == traces.random_walk(1e4, 1e6, every_s=1, duration_s=300, seed=3).steps
    assert jumps.steps != traces.markov([1.0, 2.0, 8.0], stay_s=5, duration_s=300, seed=4).steps


def test_a_recorded_link_is_read_in_megabits(tmp_path: Path) -> None:
    """Eight Mbit/s are a million bytes a second."""
    path = tmp_path / "link.csv"
    path.write_text("seconds,mbit\n0,8\n10,0.8\n")
    assert traces.recorded(path).steps == [(0.0, 1e6), (10.0, 1e5)]


@pytest.mark.parametrize("text", ["seconds,mbit\n0,fast\n", "time,rate\n0,1\n", "seconds,mbit\n0\n"])
def test_a_recording_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    """One line with the file and the columns that it needs."""
    path = tmp_path / "link.csv"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=r"link\.csv.*columns seconds and mbit"):
        traces.recorded(path)


def test_a_missing_recording_is_refused_by_name(tmp_path: Path) -> None:
    """Like any other file."""
    with pytest.raises(ArgumentError, match=r"none\.csv: no such file"):
        traces.recorded(tmp_path / "none.csv")


@pytest.mark.parametrize("arrivals", [traces.steady(20), traces.poisson(20, seed=1), traces.bursts(20, 5, seed=1)])
def test_arrivals_rise_and_have_their_rate(arrivals: itertools.count[float]) -> None:
    """Twenty a second over 500 seconds, within four standard deviations of the burstiest."""
    times = traces.until(arrivals, 500)
    assert times == sorted(times)
    assert len(times) == pytest.approx(10_000, rel=0.09)


def test_bursts_come_at_once() -> None:
    """Five frames share each time."""
    times = traces.until(traces.bursts(20, 5, seed=1), 10)
    assert all(len(list(group)) == 5 for _, group in itertools.groupby(times))
