"""Timing in rounds, with a clock that the test turns."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.profiling import rounds
from edge_runtime.profiling.rounds import Chain, Sample, Task

CYCLE_S = 1e-9


class Clock:
    """Goes on only when a call takes its time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rate = 1.0
        self.log: list[str] = []

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def call(self, name: str, seconds: float):
        """A call that takes so long, at the current rate."""

        def run() -> None:
            self.now += seconds / self.rate
            self.log.append(name)

        return run

    @property
    def chain(self) -> Chain:
        """A chain of 1,000 cycles."""
        return Chain(self.call("chain", 1000 * CYCLE_S), 1000)


def samples_of(seconds: list[float], cycle_s: float | None = CYCLE_S) -> list[Sample]:
    """One of each duration."""
    return [Sample(0.0, value, 1, value, cycle_s) for value in seconds]


def test_calls_are_timed_and_settle():
    """Calls that always take as long need the least number of samples."""
    clock = Clock()
    tasks = [Task(name, lambda name=name, s=s: clock.call(name, s)) for name, s in (("a", 1e-3), ("b", 3e-3))]

    a, b = rounds.measure(tasks, 60.0, clock=clock, chain=clock.chain)

    assert a.settled
    assert len(a.samples) == rounds.LEAST_SAMPLES
    assert rounds.timing(a.samples, a.first).p50.value == pytest.approx(1e-3)
    assert rounds.timing(b.samples, b.first).quick.value == pytest.approx(3e6)


def test_rows_take_turns_and_the_order_turns_round():
    """So that what the machine does meanwhile falls on all alike."""
    clock = Clock()
    tasks = [Task(name, lambda name=name: clock.call(name, 5e-3)) for name in "abc"]

    rounds.measure(tasks, 60.0, clock=clock)

    first_calls = 2 * len(tasks)
    assert clock.log[first_calls : first_calls + 6] == ["c", "b", "a", "a", "b", "c"]


def test_a_clock_that_slows_down_changes_seconds_and_not_cycles():
    """What --compare compares is cycles."""
    fast, slow = Clock(), Clock()
    slow.rate = 0.5
    found = []
    for clock in (fast, slow):
        (timed,) = rounds.measure([Task("a", lambda c=clock: c.call("a", 1e-3))], 60.0, clock=clock, chain=clock.chain)
        found.append(rounds.timing(timed.samples, timed.first))

    assert found[1].p50.value == pytest.approx(2 * found[0].p50.value)
    assert found[1].quick.value == pytest.approx(found[0].quick.value)
    assert found[0].unit == "cycles"


def test_a_chain_that_was_disturbed_once_does_not_count():
    """The shorter of the cycles before and after a sample is taken."""
    clock = Clock()
    lengths = iter([5e-6] * rounds.CHAINS * rounds.CHAIN_TRIES + [1e-6] * 10**6)

    def disturbed() -> None:
        clock.now += next(lengths)

    (timed,) = rounds.measure(
        [Task("a", lambda: clock.call("a", 5e-3))], 60.0, clock=clock, chain=Chain(disturbed, 1000)
    )

    assert timed.samples[0].cycle_s == pytest.approx(1e-9)


def test_without_a_chain_seconds_are_compared():
    """Where the compiled kernels are missing."""
    found = rounds.timing(samples_of([1e-3] * 20, None), 0.0)

    assert (found.unit, found.quick.value) == ("seconds", pytest.approx(1e-3))


def test_the_budget_ends_what_does_not_settle():
    """Every row has a sample all the same, and says that it has not settled."""
    calls = iter(np.random.default_rng(0).uniform(1e-3, 1e-1, 10**6))
    clock = Clock()

    def run() -> None:
        clock.now += next(calls)

    (timed,) = rounds.measure([Task("a", lambda: run)], 1e-9, clock=clock)

    assert len(timed.samples) == 1
    assert not rounds.timing(timed.samples, timed.first).stable


def test_a_few_disturbed_samples_leave_the_median_and_the_quick_time():
    """And show in the 95th percentile and the first call alone."""
    found = rounds.timing(samples_of([1e-3] * 36 + [9e-3] * 4), 0.5)

    assert found.p50.value == pytest.approx(1e-3)
    assert found.quick.value == pytest.approx(1e6)
    assert found.p95 == pytest.approx(9e-3)
    assert (found.first, found.samples, found.spread) == (0.5, 40, 0.0)


def test_the_interval_holds_the_median_as_often_as_it_says():
    """Of 400 draws from a skewed distribution, about 95 of 100."""
    rng = np.random.default_rng(1)
    draws = [rounds.estimate(rng.exponential(1.0, 31), 0.5) for _ in range(400)]
    held = np.mean([found.low <= np.log(2) <= found.high for found in draws])

    assert 0.92 <= held <= 1.0


def test_preparation_comes_before_every_sample():
    """Outside of the clock."""
    clock = Clock()
    prepare = clock.call("prepare", 1.0)

    (timed,) = rounds.measure([Task("a", lambda: clock.call("a", 5e-3), prepare)], 60.0, clock=clock)

    assert clock.log.count("prepare") == len(timed.samples) + 1
    assert timed.samples[0].seconds == pytest.approx(5e-3)


def test_a_call_is_made_anew_now_and_then():
    """Samples come from several places in memory."""
    clock, made = Clock(), []

    def make():
        made.append(clock.call(f"place {len(made)}", 5e-3))
        return made[-1]

    (timed,) = rounds.measure([Task("a", make)], 60.0, clock=clock)

    assert len(timed.samples) == rounds.LEAST_SAMPLES
    assert {f"place {place}" for place in range(rounds.LEAST_SAMPLES // rounds.PLACED)} == set(clock.log)
