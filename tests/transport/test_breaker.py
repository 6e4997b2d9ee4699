"""Tests of edge_runtime.transport.breaker."""

from __future__ import annotations

import pytest

from edge_runtime.transport import Breaker


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at zero."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """A breaker with waits of 1, 2, 4, 4, ... seconds."""
    return Breaker(first_s=1, cap_s=4, clock=clock)


def test_starts_closed(breaker):
    """Nothing is wrong until a call is lost, and nothing needs a probe."""
    assert breaker.state == "closed"
    assert not breaker.claim_probe()


def test_a_patient_one_waits_for_several_in_a_row(clock):
    """An answer in between starts the count anew."""
    breaker = Breaker(first_s=1, clock=clock, losses=3)
    for lost in (True, True, False, True, True):
        (breaker.failed if lost else breaker.succeeded)()
    assert breaker.state == "closed"
    breaker.failed()
    assert breaker.state == "open"


def test_first_lost_call_opens(breaker):
    """One lost call is enough."""
    breaker.failed()

    assert breaker.state == "open"


def test_probe_is_due_after_the_first_wait(breaker, clock):
    """No probe before the wait is over, one after."""
    breaker.failed()
    clock.now = 0.99
    early = breaker.claim_probe()
    clock.now = 1.0

    assert not early
    assert breaker.claim_probe()
    assert breaker.state == "half-open"


def test_one_probe_at_a_time(breaker, clock):
    """While a probe is on its way nobody else is told to send one."""
    breaker.failed()
    clock.now = 1.0
    breaker.claim_probe()
    clock.now = 100.0

    assert not breaker.claim_probe()


def test_good_probe_closes_and_forgets(breaker, clock):
    """After a good probe calls pass, and the next failure waits as little as the first."""
    breaker.failed()
    clock.now = 1.0
    breaker.claim_probe()
    breaker.probe_failed()
    clock.now = 3.0
    breaker.claim_probe()
    breaker.succeeded()
    closed = breaker.state
    breaker.failed()
    clock.now = 4.0

    assert closed == "closed"
    assert breaker.claim_probe()


def test_waits_double_up_to_the_cap(breaker, clock):
    """Failed probes come 1, 2, 4, 4 seconds apart."""
    breaker.failed()
    waits = []
    for _ in range(4):
        start = clock.now
        while not breaker.claim_probe():
            clock.now += 0.5
        waits.append(clock.now - start)
        breaker.probe_failed()

    assert waits == [1, 2, 4, 4]


def test_calls_lost_together_count_once(breaker, clock):
    """Ten calls that were under way when the link broke do not put the probe off."""
    breaker.failed()
    clock.now = 0.9
    for _ in range(9):
        breaker.failed()
    clock.now = 1.0

    assert breaker.claim_probe()


def test_a_call_lost_during_a_probe_is_old_news(breaker, clock):
    """Calls that were under way when the link broke and are lost late neither end the probe nor double the wait."""
    breaker.failed()
    clock.now = 1.0
    breaker.claim_probe()
    breaker.failed()
    during = breaker.state
    breaker.probe_failed()
    clock.now = 3.0

    assert during == "half-open"
    assert breaker.claim_probe()


def test_a_probe_that_fails_late_changes_nothing(breaker, clock):
    """A reply that came meanwhile knows better."""
    breaker.failed()
    clock.now = 1.0
    breaker.claim_probe()
    breaker.succeeded()
    breaker.probe_failed()

    assert breaker.state == "closed"
