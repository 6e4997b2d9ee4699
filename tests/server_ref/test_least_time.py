"""Tests of server_ref.least_time."""

from __future__ import annotations

import pytest

from server_ref.least_time import LeastTime


def test_down_at_once_and_up_slowly() -> None:
    """A quick run shows what is possible; a slow one may have been disturbed."""
    least = LeastTime(1.0)
    least.took(2.0)
    assert least.seconds == pytest.approx(1.1)
    least.took(0.5)
    assert least.seconds == 0.5


def test_what_was_never_done_needs_no_time() -> None:
    """It fits as long as any time is left."""
    assert LeastTime().fits(1e-6)
    assert not LeastTime().fits(0.0)


def test_every_refusal_makes_the_next_less_likely() -> None:
    """What was refused is tried again before long, though nothing was learnt meanwhile."""
    least = LeastTime(30.0)
    refused = 0
    while not least.fits(1.0):
        refused += 1
    assert 0 < refused < 50
