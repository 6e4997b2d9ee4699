"""Bandwidth of a link as slimmable encoders were published with it: an exponential average over single requests.

`link_estimate` weighs requests by the time that they took; here each counts as much as any other.
"""

from __future__ import annotations

from edge_runtime.control.link_estimate import LinkView

# Weight of the newest request.
ALPHA = 0.4
# A transfer shorter than this is lost in the noise of clocks and threads, and no matter to any deadline.
LEAST_S = 1e-3


class BandwidthAverage:
    """Fed with each request's sending and reply. Bandwidths are in bytes a second, times on the caller's clock."""

    def __init__(self, bandwidth: float, round_trip_s: float, now: float = 0.0) -> None:
        self.bandwidth = bandwidth
        self.round_trip_s = round_trip_s
        self._seen_s = now
        self._under_way: dict[int, tuple[float, int]] = {}

    def sent(self, number: int, size: int, server_s: float, now: float) -> None:  # noqa: ARG002 - as `LinkEstimate`
        """Request ``number`` of ``size`` bytes went out."""
        self._under_way[number] = (now, size)

    def replied(self, number: int, server_s: float, now: float) -> None:
        """Its reply came, after ``server_s`` seconds at the server, as far as that can be true."""
        sent_s, size = self._under_way.pop(number)
        crossing_s = now - sent_s - min(max(0.0, server_s), now - sent_s)
        # The round trip is part of every crossing, so none is shorter.
        self.round_trip_s = min(self.round_trip_s, crossing_s)
        taken_s = max(crossing_s - self.round_trip_s, LEAST_S)
        self.bandwidth += ALPHA * (size / taken_s - self.bandwidth)
        self._seen_s = now

    def lost(self, number: int) -> None:
        """It will never be answered."""
        self._under_way.pop(number, None)

    def view(self, now: float) -> LinkView:
        """The belief at ``now``."""
        return LinkView(self.bandwidth, self.round_trip_s, age_s=now - self._seen_s)
