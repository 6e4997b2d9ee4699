"""Traces and arrivals as a command line has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.errors import ArgumentError
from edge_runtime.evaluation.trace_syntax import parse_arrivals, parse_trace

MBIT = 1e6 / 8


def test_a_constant_link() -> None:
    """One rate, in bytes a second, and the round trip in seconds."""
    trace = parse_trace("5mbit/20ms", 10)
    assert (trace.round_trip_s, trace.bandwidth.steps) == (0.02, [(0.0, 5 * MBIT)])


def test_steps() -> None:
    """Rates with the second at which each begins."""
    trace = parse_trace("20mbit@0,800kbit@2.5/40ms", 10)
    assert trace.bandwidth.steps == [(0.0, 20 * MBIT), (2.5, 0.8 * MBIT)]


@pytest.mark.parametrize("text", ["walk:1mbit,20mbit/20ms", "markov:1mbit,5mbit,20mbit/20ms"])
def test_made_up_links_stay_within_their_rates_and_repeat(text: str) -> None:
    """The same seed makes the same link."""
    trace = parse_trace(text, 100, seed=3).bandwidth
    assert all(MBIT * 0.999 <= rate <= 20 * MBIT * 1.001 for _, rate in trace.steps)
    assert trace.steps == parse_trace(text, 100, seed=3).bandwidth.steps
    assert trace.steps != parse_trace(text, 100, seed=4).bandwidth.steps


def test_a_recorded_link(tmp_path: Path) -> None:
    """A CSV file of seconds and Mbit/s."""
    (tmp_path / "drive.csv").write_text("seconds,mbit\n0,5\n1,0.5\n")
    trace = parse_trace(f"{tmp_path}/drive.csv/30ms", 10)
    assert trace.bandwidth.steps == [(0.0, 5 * MBIT), (1.0, 0.5 * MBIT)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5mbit", "no round trip"),
        ("5mbit/20", "no round trip"),
        ("0mbit/20ms", "not a rate above 0"),
        ("5mbit@x/20ms", "not RATE@SECONDS"),
        ("5mbit@3,1mbit@1/20ms", "do not rise"),
        ("walk:20mbit,1mbit/20ms", "the least and the greatest"),
        ("nowhere.csv/20ms", "no such file"),
    ],
)
def test_what_is_no_trace_is_named(text: str, says: str) -> None:
    """One line that says what is wrong."""
    with pytest.raises(ArgumentError, match=says):
        parse_trace(text, 10)


def test_arrivals() -> None:
    """Even ones, bursts, chance, and a queue that never empties."""
    assert parse_arrivals("steady:2", 2) == [0.0, 0.5, 1.0, 1.5]
    assert parse_arrivals("saturating", 2) is None
    burst = parse_arrivals("bursts:40x8", 100)
    assert burst is not None
    assert burst[:8] == [burst[0]] * 8
    assert 3000 < len(burst) < 5000
    chance = parse_arrivals("poisson:40", 100, seed=1)
    assert chance == parse_arrivals("poisson:40", 100, seed=1) != parse_arrivals("poisson:40", 100, seed=2)


@pytest.mark.parametrize("text", ["", "steady", "steady:0", "steady:inf", "poisson:x", "bursts:40", "often:3"])
def test_what_are_no_arrivals_is_named(text: str) -> None:
    """The error lists what there is."""
    with pytest.raises(ArgumentError, match="is none of steady:30"):
        parse_arrivals(text, 2)
