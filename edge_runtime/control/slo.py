"""Chooses for each photo how to ask about it in two rounds, so that the answer comes before its deadline.

Of all plans that meet the deadline by careful numbers, the best. The numbers are learnt from every reply: the bandwidth
and how unsteady it is, the server's speed and queue, and how late replies are, for whatever reason, against what was
foreseen.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.control.round_plans import ROUND_BYTES, Conditions, RoundPlans, unmeetable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_runtime.control.link_estimate import LinkEstimate, LinkView
    from edge_runtime.control.round_plans import Packing, RoundPlan
    from edge_runtime.control.rounds import RoundTables

# The bandwidth planned with is so many standard deviations of its logarithm below the estimate,
DEVIATIONS = 0.5
# to whose variance each second of silence adds so much: links wander,
WANDER = 0.02
# but no less than this share of it: what is tried teaches more than what is feared.
LEAST_SHARE = 0.1
# It stays while a new one would be within this share of it.
HYSTERESIS = 0.1
# Bad news older than this may be over: queues are forgotten, and the smallest round is tried, once in so many seconds.
STALE_S = 2.0
# A round that was waited for in vain counts as if it had taken so many times as long.
LOST = 2.0
# Weight of the newest reply for the server's speed.
GAIN = 0.2
# Margins cover this share of the last latenesses, and so much before the first.
COVERED, LATENESSES = 0.95, 64
FIRST_MARGIN_S = 0.005


class Slo:
    """Plans the photos of one client, one photo after the other; seconds are on ``clock``.

    ``tables`` are the bundle's, ``link`` is the client's own estimate. With ``wanted``, an accuracy 0..1, a plan sends
    the fewest bytes that reach it, or reaches as much as the deadline allows. Without, plans weigh accuracy against
    ``byte_price``, the accuracy that a byte must bring. Call `plan` for each photo, and for each of its rounds `sent`
    and then `replied` or `lost`.
    """

    def __init__(
        self,
        tables: RoundTables,
        link: LinkEstimate,
        *,
        wanted: float | None = None,
        byte_price: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plans = RoundPlans(tables, wanted, byte_price)
        self._link, self._clock = link, clock
        self._bandwidth = 0.0
        self._server_factor, self._queue_s = 1.0, 0.0
        self._margins = (_Margin(), _Margin())
        self._kept: int | None = None
        # The photo at hand: its plan, how many rounds were answered, and since when the next answer is waited for.
        self._plan = self._plans.best_effort(self._expected(link.view(clock())))
        self._rounds, self._since_s = 0, clock()
        self._number, self._sent_s = 0, -math.inf
        self._under_way: _Round | None = None

    def plan(self, left_s: float) -> RoundPlan:
        """How to ask about a photo whose answer is needed in ``left_s`` seconds.

        Raises Unmeetable when even the smallest round should take longer.
        """
        self._rounds, self._since_s = 0, self._clock()
        view = self._link.view(self._since_s)
        conditions = self._careful(view)
        place = self._plans.best(conditions, left_s, self._kept)
        if place is None:
            self._plan = self._best_effort(view, left_s)
        else:
            self._kept, self._plan = place, self._plans.plan(place, conditions)
        return self._plan

    def second_fits(self, plan: Packing, count: int, left_s: float) -> bool:
        """Whether a second round of ``count`` patches should be answered within ``left_s`` seconds from now."""
        return self._fits(*self._plans.second_round(plan, count), left_s)

    def everything_fits(self, plan: Packing, count: int, left_s: float) -> bool:
        """The same of ``count`` patches for a server that has forgotten those of the first round."""
        return self._fits(*self._plans.everything(plan, count), left_s)

    def sent(self, size: int, now: float) -> None:
        """A round of ``size`` payload bytes went out: the first of the plan last given, or else its second."""
        self.lost(now)
        size += ROUND_BYTES
        view = self._link.view(now)
        server_s = self._plans.second_round(self._plan, self._plan.second)[1]
        if not self._rounds:
            server_s = self._plans.first_server_s(self._plan)
        self._number, self._sent_s = self._number + 1, now
        self._link.sent(self._number, size, self._server_factor * server_s, now)
        expected_s = self._expected(view).round_s(size, server_s)
        self._under_way = _Round(now, server_s, expected_s, self._careful(view).round_s(size, server_s))

    def replied(self, timings_ms: Mapping[str, float], queue_length: int, now: float) -> None:
        """The reply came, with the server's times, and how many requests still waited there."""
        found, self._under_way = self._under_way, None
        if found is None:
            return
        # The server cannot have taken longer than the reply took to come.
        most_ms = (now - found.sent_s) * 1e3
        work_s = min(max(0.0, timings_ms["decode"] + timings_ms["compute"]), most_ms) / 1e3
        queue_s = min(max(0.0, timings_ms["queue"]), most_ms) / 1e3
        self._link.replied(self._number, work_s + queue_s, now)
        self._margins[min(self._rounds, 1)].observe(now - self._since_s - found.most_s)
        # A second round may have been computed from its start: only the first is what it seems.
        if not self._rounds and found.server_s > 0:
            self._server_factor += GAIN * (work_s / found.server_s - self._server_factor)
        # Who waits there now is served before the next one that comes.
        self._queue_s = max(queue_s, queue_length * work_s)
        self._rounds, self._since_s = self._rounds + 1, now

    def lost(self, now: float) -> None:
        """No reply came, or none will. If it was waited for long enough, the link is slower than it seemed."""
        found, self._under_way = self._under_way, None
        if found is None:
            return
        waited_s = now - found.sent_s
        if waited_s < found.expected_s:
            self._link.lost(self._number)
        else:
            self._link.replied(self._number, self._server_factor * found.server_s, found.sent_s + LOST * waited_s)

    def _fits(self, size: float, server_s: float, left_s: float) -> bool:
        conditions = self._careful(self._link.view(self._clock()))
        return conditions.round_s(size, server_s) + conditions.second_margin_s <= left_s

    def _best_effort(self, view: LinkView, left_s: float) -> RoundPlan:
        plan = self._plans.best_effort(self._expected(view))
        hoped = Conditions(math.inf, view.round_trip_s, min(self._server_factor, 1.0))
        is_stale = self._since_s - self._sent_s > STALE_S
        least_s = self._plans.best_effort(hoped).first_s if is_stale else plan.first_s
        if least_s > left_s:
            raise unmeetable(left_s, least_s)
        return plan

    def _expected(self, view: LinkView) -> Conditions:
        queue_s = self._queue_s if view.age_s <= STALE_S else 0.0
        return Conditions(view.bandwidth, view.round_trip_s, self._server_factor, queue_s)

    def _careful(self, view: LinkView) -> Conditions:
        doubt = math.sqrt(view.deviation**2 + WANDER * max(view.age_s, 0.0))
        bandwidth = view.bandwidth * max(math.exp(-DEVIATIONS * doubt), LEAST_SHARE)
        if abs(bandwidth - self._bandwidth) > HYSTERESIS * self._bandwidth:
            self._bandwidth = bandwidth
        first, second = self._margins
        return self._expected(view)._replace(
            bandwidth=self._bandwidth, first_margin_s=first.seconds, second_margin_s=second.seconds
        )


@dataclass(frozen=True, slots=True)
class _Round:
    """A round under way: when it was sent, the server's seconds by the tables, all seconds in the mean and at most."""

    sent_s: float
    server_s: float
    expected_s: float
    most_s: float


class _Margin:
    """What to add to times foreseen, so that hardly a reply is later; old ones are forgotten."""

    def __init__(self) -> None:
        self.seconds = FIRST_MARGIN_S
        self._lateness: deque[float] = deque(maxlen=LATENESSES)

    def observe(self, late_s: float) -> None:
        """A reply came so much later than foreseen."""
        self._lateness.append(late_s)
        self.seconds = max(0.0, sorted(self._lateness)[int(COVERED * len(self._lateness))])
