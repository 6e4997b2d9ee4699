"""What the link estimate believes after known links, losses and lies."""

from __future__ import annotations

import math
from collections import deque
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.control.link_estimate import LinkEstimate

ROUND_TRIP_S, SERVER_S, SIZE = 0.02, 0.005, 5000


class Line:
    """Requests of one size over a serial link to a serial server, ``depth`` of them under way."""

    def __init__(self, estimate: LinkEstimate, depth: int) -> None:
        self.estimate, self.depth = estimate, depth
        self.now = self.link_free_s = self.server_free_s = 0.0
        self.under_way: deque[tuple[int, float, float]] = deque()
        self.numbers = count()

    def cross(self, requests: int, bandwidth: float) -> list[float]:
        """The bandwidth believed after each of the replies that came meanwhile."""
        believed = []
        for _ in range(requests):
            if len(self.under_way) == self.depth:
                believed.append(self.reply())
            self.send(bandwidth)
        return believed

    def send(self, bandwidth: float) -> None:
        """One more request, whether or not there is room for it."""
        number = next(self.numbers)
        self.estimate.sent(number, SIZE, SERVER_S, self.now)
        self.link_free_s = max(self.now, self.link_free_s) + SIZE / bandwidth
        arrived_s = self.link_free_s + ROUND_TRIP_S / 2
        self.server_free_s = max(arrived_s, self.server_free_s) + SERVER_S
        self.under_way.append((number, self.server_free_s - arrived_s, self.server_free_s + ROUND_TRIP_S / 2))

    def reply(self) -> float:
        """Wait for the oldest request's reply, and give the bandwidth believed then."""
        number, server_s, reply_s = self.under_way.popleft()
        self.now = max(self.now, reply_s)
        self.estimate.replied(number, server_s, reply_s)
        return self.estimate.view(self.now).bandwidth


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("first", [1e5, 1e6, 1e7])
def test_a_constant_link_is_found_whatever_was_believed_first(depth: int, first: float) -> None:
    """After 16 requests the belief is within 5 %, pipelined or not; a right one stays exactly right."""
    believed = Line(LinkEstimate(first, ROUND_TRIP_S), depth).cross(16 + depth, 1e6)
    assert believed[-1] == pytest.approx(1e6, rel=1e-9 if first == 1e6 else 0.05)


@pytest.mark.parametrize("depth", [1, 4])
def test_a_round_trip_believed_too_long_is_found_and_leaves_the_bandwidth_alone(depth: int) -> None:
    """The transfer is not taken for a part of the round trip, which would let the bandwidth seem endless."""
    estimate = LinkEstimate(1e6, 0.05)
    believed = Line(estimate, depth).cross(20, 1e6)
    assert estimate.round_trip_s == pytest.approx(ROUND_TRIP_S)
    assert believed == pytest.approx([1e6] * len(believed))


@pytest.mark.parametrize("depth", [1, 4])
def test_a_step_down_is_seen_within_three_requests(depth: int) -> None:
    """From 8 to 0.4 Mbit/s: a factor of two within the third reply."""
    line = Line(LinkEstimate(1e6, ROUND_TRIP_S), depth)
    line.cross(20, 1e6)
    while line.under_way:
        line.reply()
    assert line.cross(3 + depth, 5e4)[2] < 1e5


def test_what_is_under_way_tells_of_a_step_down_before_any_reply() -> None:
    """A request that should long have been answered lowers the belief, the more the longer it takes."""
    line = Line(LinkEstimate(1e6, ROUND_TRIP_S), 1)
    line.cross(20, 1e6)
    line.reply()
    line.send(1e4)
    sent_s = line.now
    believed = [line.estimate.view(sent_s + ROUND_TRIP_S + waited_s).bandwidth for waited_s in (0.0, 0.05, 0.2, 0.4)]
    assert believed[0] == pytest.approx(1e6)
    assert believed == sorted(believed, reverse=True)
    assert believed[-1] < 1e5


def test_a_step_up_is_seen_within_twelve_requests() -> None:
    """From 0.4 to 8 Mbit/s: three quarters of it at the twelfth reply, for a slow request weighs as long as it took."""
    line = Line(LinkEstimate(5e4, ROUND_TRIP_S), 1)
    line.cross(20, 5e4)
    line.reply()
    assert line.cross(13, 1e6)[11] > 0.75e6


def test_a_lost_request_changes_nothing() -> None:
    """What was lost says nothing of the bandwidth, neither while it lasts nor for those after it."""
    line = Line(LinkEstimate(1e6, ROUND_TRIP_S), 1)
    line.cross(10, 1e6)
    line.reply()
    line.estimate.sent(99, SIZE, SERVER_S, line.now)
    line.now += 5.0
    line.estimate.lost(99)
    assert line.estimate.view(line.now).bandwidth == pytest.approx(1e6)
    assert line.cross(3, 1e6) == pytest.approx([1e6] * 2)


def test_the_deviation_tells_a_steady_link_from_an_unsteady_one() -> None:
    """None on a constant link, a clear one where every other request takes thrice as long."""
    steady, unsteady = LinkEstimate(1e6, ROUND_TRIP_S), LinkEstimate(1e6, ROUND_TRIP_S)
    Line(steady, 1).cross(20, 1e6)
    line = Line(unsteady, 1)
    for bandwidth in [1e6, 3e5] * 10:
        line.cross(1, bandwidth)
    assert steady.view(1.0).deviation < 1e-6
    assert unsteady.view(1.0).deviation > 0.3


def test_the_age_runs_from_the_last_reply() -> None:
    """Sending tells nothing yet."""
    estimate = LinkEstimate(1e6, ROUND_TRIP_S, now=10.0)
    estimate.sent(1, SIZE, SERVER_S, 11.0)
    assert estimate.view(12.0).age_s == 2.0
    estimate.replied(1, SERVER_S, 13.0)
    assert estimate.view(13.5, reachable=False).age_s == 0.5


Event = tuple[str, float, float, int]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sent", "replied", "lost"]),
            st.floats(0, 100),
            st.floats(allow_nan=False),
            st.integers(1, 10**8),
        ),
        max_size=40,
    )
)
def test_any_order_of_events_gives_finite_positive_views(events: list[Event]) -> None:
    """Whatever a server claims to have taken, and whatever is lost, a belief stays one that can be reckoned with."""
    estimate = LinkEstimate(1e6, ROUND_TRIP_S)
    now, under_way = 0.0, []
    for number, (kind, later_s, server_s, size) in enumerate(events):
        now += later_s
        if kind == "sent":
            estimate.sent(number, size, SERVER_S, now)
            under_way.append(number)
        elif under_way and kind == "replied":
            estimate.replied(under_way.pop(size % len(under_way)), server_s, now)
        elif under_way:
            estimate.lost(under_way.pop(size % len(under_way)))
        view = estimate.view(now)
        assert 0 < view.bandwidth < math.inf
        assert 0 <= view.round_trip_s < math.inf
        assert 0 <= view.deviation < math.inf
        assert view.age_s >= 0
