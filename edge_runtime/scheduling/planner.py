"""The exact planner: every plan's forecast, and the best of them. The default policy, and the others' safety net."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.scheduling.forecast import Costs, candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.scheduling.forecast import Forecast, Stages
    from edge_runtime.scheduling.plans import Plan
    from edge_runtime.scheduling.state import State
    from edge_runtime.scheduling.tables import Tables

# A plan keeps up when it has so much more than the arrivals' rate: queues grow without end at 1.
HEADROOM = 1.15
# The backlog should be gone in so many seconds.
CATCH_UP_S = 1.0
# The plan in force stays until another one is better by so much: forecasts are not that exact.
INERTIA = 0.03


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision: the chosen plan, the next best of another mode or site, and what was asked of them."""

    chosen: Stages
    runner_up: Stages
    wanted_rate: float
    keeps_up: bool


class Planner:
    """Chooses among ``plans`` by their forecast.

    Where some plan keeps up with the arrivals (and a backlog), the quickest of those that do; else the one that
    answers most frames a second, also counting what its own requests wait for each other. Plans that cannot answer
    within the deadline count only when none can, and plans that lose more than ``most_loss`` only where no other is
    possible.
    """

    name = "bps"

    def __init__(self, tables: Tables, plans: Sequence[Plan], most_loss: float = math.inf) -> None:
        self.costs = Costs(tables, plans)
        self._accurate = self.costs.loss <= most_loss
        self._index = {plan: index for index, plan in enumerate(self.costs.plans)}
        self.probe = cheapest(self.costs)

    @classmethod
    def of(cls, tables: Tables, most_loss: float) -> Planner:
        """A planner over every plan that loses at most ``most_loss`` (0.01 is a point); raises ArgumentError."""
        return cls(tables, candidates(tables, most_loss), most_loss)

    def choose(self, state: State) -> Plan:
        """The best plan, or the one in force when the best is hardly better."""
        forecast = self.costs.forecast(state)
        merit = self.merit(forecast, state)
        best = int(merit.argmax())
        if state.plan is not None:
            current = self._index.get(_unsized(state.plan))
            if current is not None and merit[current] >= merit[best] - INERTIA:
                best = current
        return forecast.stages(best).plan

    def explain(self, state: State) -> Explanation:
        """The best plan in ``state``, whatever is in force, beside the best of another mode or site."""
        forecast = self.costs.forecast(state)
        merit = self.merit(forecast, state)
        order = np.argsort(-merit, kind="stable")
        plans = self.costs.plans
        chosen = int(order[0])
        kind = (plans[chosen].mode, plans[chosen].cut)
        runner_up = next((int(i) for i in order if (plans[i].mode, plans[i].cut) != kind), chosen)
        wanted = wanted_rate(state)
        return Explanation(
            forecast.stages(chosen), forecast.stages(runner_up), wanted, bool(forecast.rate[chosen] >= wanted)
        )

    def merit(self, forecast: Forecast, state: State) -> NDArray[np.float64]:
        """Higher is better; differences are relative ones, so 0.03 is three per cent."""
        accurate = forecast.possible & self._accurate
        possible = accurate if accurate.any() else forecast.possible
        in_time = within(possible, forecast.latency_s, state.deadline_s)
        keeping_up = in_time & (forecast.rate >= wanted_rate(state))
        if keeping_up.any():
            return np.where(keeping_up, -np.log(np.maximum(forecast.latency_s, 1e-6)), -np.inf)
        in_time = within(in_time, forecast.full_latency_s, state.deadline_s)
        return np.where(in_time, np.log(np.maximum(forecast.rate, 1e-6)), -np.inf)


def within(plans: NDArray[np.bool_], latency_s: NDArray[np.float64], deadline_s: float) -> NDArray[np.bool_]:
    """Those of ``plans`` that answer within the deadline; all of them when none does."""
    in_time = plans & (latency_s <= deadline_s)
    return in_time if in_time.any() else plans


def cheapest(costs: Costs) -> Plan | None:
    """The plan of one frame a request that sends least; None when no plan sends."""
    single = [index for index, plan in enumerate(costs.plans) if plan.mode in {"remote", "split"} and plan.batch == 1]
    return costs.plans[min(single, key=lambda index: costs.request_bytes[index])] if single else None


def wanted_rate(state: State) -> float:
    """Frames a second that keep up with the arrivals and work off the backlog."""
    return HEADROOM * state.arrival_rate + state.queue / CATCH_UP_S


def _unsized(plan: Plan) -> Plan:
    """A plan as the candidates have it, without the requests in flight that a forecast gave it."""
    return replace(plan, in_flight=1)
