"""Bandwidth and round trip of a link, learnt from the requests that cross it.

Requests share the link one after another, so each one's share of it lasts from its sending, or from the end of the one
before, to its own end. Seconds and bytes are summed over the last requests, which weighs a slow one as long as it took:
a link that breaks down is noticed at once, one that recovers within some requests. What is still under way counts as
soon as it takes longer than the estimate has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Each request makes those before it count so much less.
MEMORY = 0.7
# A message's own share of the link may be lost in the clock's noise; it never takes no time at all.
LEAST_S = 1e-5
# A reply may be late by so much without telling anything: threads wake when they can.
SLACK_S = 0.02


@dataclass(frozen=True, slots=True)
class LinkView:
    """What is believed of a link at one moment.

    ``bandwidth`` in bytes a second, ``deviation`` its relative standard deviation over the last requests,
    ``round_trip_s`` without any waiting, ``age_s`` since the last request that told anything, ``reachable`` whether a
    request would be tried at all.
    """

    bandwidth: float
    round_trip_s: float
    deviation: float = 0.0
    age_s: float = 0.0
    reachable: bool = True


class LinkEstimate:
    """Fed with each request's sending and reply; see the module. Times are on the caller's clock, in seconds."""

    def __init__(self, bandwidth: float, round_trip_s: float, now: float = 0.0) -> None:
        self.round_trip_s = round_trip_s
        self._seconds, self._bytes = 1.0, bandwidth
        self._log_mean, self._log_variance = math.log(bandwidth), 0.0
        self._free_s = self._seen_s = self._replied_s = now
        self._samples = 0
        self._under_way: dict[int, tuple[float, int, float]] = {}

    @property
    def tested(self) -> bool:
        """Whether any request has crossed it yet; until then the estimate is hearsay."""
        return self._samples > 0

    def sent(self, number: int, size: int, server_s: float, now: float) -> None:
        """Request ``number`` of ``size`` bytes went out; the server should work on it for ``server_s`` seconds."""
        self._under_way[number] = (now, size, server_s)

    def replied(self, number: int, server_s: float, now: float) -> None:
        """Its reply came, after ``server_s`` seconds at the server, as far as that can be true."""
        sent_s, size, _ = self._under_way.pop(number)
        server_s = min(max(0.0, server_s), now - sent_s)
        self._learn_round_trip(now - sent_s - server_s, size)
        end_s = now - server_s - self.round_trip_s
        taken_s = max(end_s - max(sent_s, self._free_s), LEAST_S)
        self._free_s, self._replied_s = max(self._free_s, end_s), now
        # What was only measured beforehand is as good as one request.
        memory = MEMORY if self._samples else MEMORY * size / self._bytes
        self._seconds = memory * self._seconds + taken_s
        self._bytes = memory * self._bytes + size
        self._learn_deviation(math.log(size / taken_s))
        self._seen_s = now
        self._samples += 1

    def lost(self, number: int) -> None:
        """It will never be answered; what that says of the link is the breaker's business."""
        self._under_way.pop(number, None)

    def view(self, now: float, *, reachable: bool = True) -> LinkView:
        """The belief at ``now``."""
        return LinkView(
            bandwidth=self._bandwidth(now),
            round_trip_s=self.round_trip_s,
            deviation=math.sqrt(self._log_variance),
            age_s=now - self._seen_s,
            reachable=reachable,
        )

    def _bandwidth(self, now: float) -> float:
        known = self._bytes / self._seconds
        if not self._under_way:
            return known
        sent_s, size, server_s = next(iter(self._under_way.values()))
        crossing_s = size / known
        # The server begins with it when it has arrived and the one before is done.
        there_s = max(max(sent_s, self._free_s) + crossing_s + self.round_trip_s, self._replied_s)
        late_s = now - there_s - server_s
        if late_s <= crossing_s + SLACK_S:
            return known
        return (MEMORY * self._bytes + size) / (MEMORY * self._seconds + crossing_s + late_s)

    def _learn_round_trip(self, crossing_s: float, size: int) -> None:
        """A request that crossed in less than a round trip shows that to be shorter, by its own transfer as well."""
        if crossing_s < self.round_trip_s:
            self.round_trip_s = crossing_s - min(size * self._seconds / self._bytes, crossing_s / 2)

    def _learn_deviation(self, log_rate: float) -> None:
        step = log_rate - self._log_mean
        self._log_mean += (1 - MEMORY) * step
        self._log_variance = MEMORY * (self._log_variance + (1 - MEMORY) * step * step)
