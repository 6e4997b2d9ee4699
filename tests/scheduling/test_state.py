"""How the scheduler learns what changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.scheduling.state import ArrivalRate, Factor, Usual


def test_a_factor_finds_how_much_slower_all_is() -> None:
    """From as foreseen to thrice as long, within 20 observations."""
    factor = Factor()
    for _ in range(20):
        factor.observe(taken_s=0.3, foreseen_s=0.1)
    assert factor.value == pytest.approx(3, rel=0.02)


def test_what_should_take_no_time_teaches_nothing() -> None:
    """No division by zero, no change."""
    factor = Factor()
    factor.observe(taken_s=0.3, foreseen_s=0.0)
    assert factor.value == 1.0


def test_steady_arrivals_have_their_rate() -> None:
    """Ten a second, exactly from the second arrival on."""
    rate = ArrivalRate()
    assert rate.at(0.0) == 0.0
    for number in range(50):
        rate.arrived(number / 10)
        if number > 1:
            assert rate.at((number + 1) / 10) == pytest.approx(10)


def test_a_silence_lowers_the_rate() -> None:
    """Ten a second for three seconds, then none for as long."""
    rate = ArrivalRate()
    for number in range(32):
        rate.arrived(number / 10)
    assert rate.at(6.4) == pytest.approx(5)


def test_frames_that_come_at_once_come_fast_but_not_infinitely_so() -> None:
    """A burst at one instant is no division by zero."""
    rate = ArrivalRate()
    rate.arrived(1.0)
    rate.arrived(1.0)
    assert 1e5 < rate.at(1.0) < 1e9


def test_what_is_usual_starts_with_the_first_time_seen() -> None:
    """Nothing is known before; then what was seen is taken as it is."""
    usual = Usual()
    assert usual.value == 0.0
    usual.observe(2.0)
    assert usual.value == 2.0


@given(st.lists(st.sampled_from([1.0, 2.0]), min_size=60, max_size=60))
def test_what_is_usual_lies_above_the_mean_but_near_what_happens(times: list[float]) -> None:
    """Times of one or two seconds in any order: never below their least, never far above their greatest."""
    usual = Usual()
    for taken_s in times:
        usual.observe(taken_s)
        assert 1.0 <= usual.value < 3.0
