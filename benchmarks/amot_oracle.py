"""One who knows what the link will be like, and what each photo weighs: the best plan that is answered in time.

The oracle chooses among the planner's own plans. Whatever a round takes beyond link, round trip and the tables' server
time, here and at the server, it takes for the oracle as well: the median of what was measured.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import samples
from edge_runtime.control.round_plans import ROUND_BYTES
from edge_runtime.systems.amot import Fixed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from link_runs import Late
    from numpy.typing import NDArray

    from edge_runtime.control.round_plans import RoundPlans
    from edge_runtime.control.rounds import RoundTables
    from edge_runtime.evaluation.trace_syntax import LinkTrace
    from edge_runtime.kernels import Pattern
    from edge_runtime.messages import Frame
    from edge_runtime.models.bundle import FrameSpec
    from edge_runtime.systems.amot import Plan, Planner

    F64 = NDArray[np.float64]


class Round(NamedTuple):
    """An answered round of a plan, ``second`` or first: payload bytes, and when it was decided on, sent and answered.

    Seconds are those of ``time.monotonic``.
    """

    plan: Plan
    second: bool
    size: int
    since_s: float
    sent_s: float
    replied_s: float


class Watch:
    """A planner whose plans are written down, None where it had none, and its answered rounds."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.plans: list[Plan | None] = []
        self.rounds: list[Round] = []
        self._since_s = self._sent_s = 0.0
        self._second, self._size = False, 0

    def plan(self, left_s: float) -> Plan:
        """The planner's."""
        self._since_s, self._second = time.monotonic(), False
        self.plans.append(None)
        self.plans[-1] = plan = self._planner.plan(left_s)
        return plan

    def second_fits(self, plan: Plan, count: int, left_s: float) -> bool:
        """The planner's opinion."""
        return self._planner.second_fits(plan, count, left_s)

    def everything_fits(self, plan: Plan, count: int, left_s: float) -> bool:
        """The planner's opinion."""
        return self._planner.everything_fits(plan, count, left_s)

    def sent(self, size: int, now: float) -> None:
        """Tell the planner."""
        self._size, self._sent_s = size, now
        self._planner.sent(size, now)

    def replied(self, timings_ms: Mapping[str, float], queue_length: int, now: float) -> None:
        """Tell the planner, and write it down."""
        plan = self.plans[-1]
        assert plan is not None
        self.rounds.append(Round(plan, self._second, self._size, self._since_s, self._sent_s, now))
        self._since_s, self._second = now, True
        self._planner.replied(timings_ms, queue_length, now)

    def lost(self, now: float) -> None:
        """Tell the planner."""
        self._planner.lost(now)


def lateness(rounds: Iterable[Round], plans: RoundPlans, link: LinkTrace, started_s: float) -> Late:
    """By how many seconds each round took longer than link, round trip and the tables' server time explain.

    With each goes whether it was a second one. The link has followed its trace since ``started_s``.
    """
    found = []
    for one in rounds:
        server_s = plans.second_round(one.plan, one.plan.second)[1] if one.second else plans.first_server_s(one.plan)
        crossing_s = (one.size + ROUND_BYTES) / link.bandwidth.at(one.sent_s - started_s)
        late_s = one.replied_s - one.since_s - crossing_s - link.round_trip_s - server_s
        found.append((one.second, late_s))
    return found


def typical(late: Late, share: float = 0.5) -> tuple[float, float]:
    """Seconds that this share of first rounds and of second ones is late at most; without second ones, of all."""
    first, second = ([late_s for is_second, late_s in late if is_second == wanted] for wanted in (False, True))
    return float(np.quantile(first, share)), float(np.quantile(second or first, share))


def weights(frame: Frame, spec: FrameSpec, pattern: Pattern, tables: RoundTables) -> F64:
    """What patches of this photo weigh against those of the mean photo, by setting of ``tables``.

    Measured on as many patches as the middle of the tables' axis has.
    """
    middle = len(tables.first) // 2
    indices = kernels.sample(pattern, (spec.grid, spec.grid), tables.first[middle], frame.id)
    chosen = kernels.gather(frame.pixels, indices, spec.patch)
    found = []
    for setting, sizes in zip(tables.settings, tables.first_bytes, strict=True):
        packed = samples.encode(chosen, (spec.grid, spec.grid), pattern, frame.id, setting.codec, setting.quality)
        found.append(len(packed) / sizes[middle].mean)
    return np.array(found)


def heavy(tables: RoundTables) -> F64:
    """What a photo weighs that few outweigh, by setting: what is planned with by whoever cannot weigh it beforehand."""
    middle = len(tables.first) // 2
    return np.array([sizes[middle].most / sizes[middle].mean for sizes in tables.first_bytes])


class Oracle:
    """Knows the ``link`` to come; first and second rounds are as late as ``late_s`` says.

    What is sent crosses the link at the rate of that moment, as it does in the shaper.
    """

    def __init__(self, plans: RoundPlans, link: LinkTrace, late_s: tuple[float, float]) -> None:
        self.plans, self._link, self._late_s = plans, link, late_s
        columns, tables = plans.columns, plans.tables
        second_bytes = np.array([[one.mean for one in row] for row in tables.second_bytes])
        self._second_bytes: F64 = second_bytes[columns.setting, columns.second]
        starts_s, rates = zip(*link.bandwidth.steps, strict=True)
        self._starts_s, self._rates = np.array(starts_s), np.array(rates)

    def best(self, start_s: float, left_s: float, weights: F64) -> int | None:
        """The place of the best plan for a photo of such ``weights`` within ``left_s`` from ``start_s``, if any."""
        fits = self.total_s(start_s, weights) <= left_s
        best = int(fits.argmax())
        return best if fits[best] else None

    def total_s(self, start_s: float, weights: F64) -> F64:
        """Seconds from ``start_s`` on the trace to the last answer if every round is needed, ``[plans]``."""
        columns = self.plans.columns
        weight = weights[columns.setting]
        first_s = self._round_s(start_s, weight * columns.first_bytes, columns.first_server_s, self._late_s[0])
        second_s = self._round_s(
            start_s + first_s, weight * self._second_bytes, columns.second_server_s, self._late_s[1]
        )
        return first_s + np.where(columns.second, second_s, 0.0)

    def plan(self, place: int) -> Fixed:
        """The plan there."""
        columns, tables = self.plans.columns, self.plans.tables
        setting, second = tables.settings[columns.setting[place]], tables.second[columns.second[place]]
        below = tables.below[columns.below[place]] if second else 0.0
        return Fixed(setting.codec, setting.quality, tables.first[columns.first[place]], second, below)

    def _round_s(self, start_s: float | F64, size: F64, server_s: F64, late_s: float) -> F64:
        """A round that is decided on at ``start_s``, one or ``[plans]``."""
        step = np.searchsorted(self._starts_s, start_s, side="right") - 1
        rate = self._rates[np.maximum(step, 0)]
        return (size + ROUND_BYTES) / rate + self._link.round_trip_s + server_s + late_s
