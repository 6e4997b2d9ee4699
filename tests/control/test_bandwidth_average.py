"""The published average over links that are known."""

from __future__ import annotations

import pytest

from edge_runtime.control.bandwidth_average import ALPHA, LEAST_S, BandwidthAverage


def cross(average: BandwidthAverage, size: int, crossing_s: float, server_s: float = 0.01, now: float = 0.0) -> None:
    """One request, answered after so long on the link and so long at the server."""
    average.sent(1, size, server_s, now)
    average.replied(1, server_s, now + crossing_s + server_s)


def test_each_request_counts_four_tenths() -> None:
    """However long it took; round trip and server are not the link's."""
    average = BandwidthAverage(200e3, 0.02)
    cross(average, 10_000, 0.02 + 0.1)
    assert average.view(1.0).bandwidth == pytest.approx((1 - ALPHA) * 200e3 + ALPHA * 100e3)
    cross(average, 10_000, 0.02 + 0.01)
    assert average.view(1.0).bandwidth == pytest.approx(0.6 * 160e3 + 0.4 * 1e6)


def test_a_crossing_shorter_than_the_round_trip_corrects_it() -> None:
    """And counts as a transfer of the shortest time that can be told."""
    average = BandwidthAverage(200e3, 0.02)
    cross(average, 1_000, 0.015)
    view = average.view(2.0)
    assert view.round_trip_s == pytest.approx(0.015)
    assert view.bandwidth == pytest.approx(0.6 * 200e3 + 0.4 * 1_000 / LEAST_S)


def test_a_server_cannot_have_taken_longer_than_its_reply() -> None:
    """Nor less than no time, whatever it says."""
    for claimed_s, left_s in ((99.0, LEAST_S), (-99.0, 0.05 - 0.02), (float("nan"), 0.05 - 0.02)):
        average = BandwidthAverage(200e3, 0.02)
        average.sent(1, 1_000, 0.0, 0.0)
        average.replied(1, claimed_s, 0.05)
        assert average.view(1.0).bandwidth == pytest.approx(0.6 * 200e3 + 0.4 * 1_000 / left_s)


def test_what_is_lost_says_nothing() -> None:
    """And the age of the belief is that of the last reply."""
    average = BandwidthAverage(200e3, 0.02, now=5.0)
    average.sent(1, 1_000, 0.01, 6.0)
    average.lost(1)
    average.lost(2)
    assert average.view(8.0) == BandwidthAverage(200e3, 0.02, now=5.0).view(8.0)
    assert average.view(8.0).age_s == 3.0
