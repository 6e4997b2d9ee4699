"""What a learned policy may choose among: few enough plans that one small network can tell them apart."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling.forecast import Costs, local_frames
from edge_runtime.scheduling.planner import Planner
from edge_runtime.scheduling.plans import LOCAL
from edge_runtime.scheduling.state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.scheduling.forecast import Forecast
    from edge_runtime.scheduling.plans import Plan
    from edge_runtime.scheduling.tables import Tables

# Enough states that what is best in one of a thousand of them is found.
STATES = 4000


def actions(tables: Tables, most_loss: float, most: int = 60) -> list[Plan]:
    """The plans that the planner finds best in some state of a broad random sample, most frequently best first.

    At most ``most`` of them, `LOCAL` always among them; raises ArgumentError where ``most`` is below 1 or
    ``most_loss`` (a share, 0.01 is a point) below 0.
    """
    if most < 1:
        raise ArgumentError(f"most: {most} actions are too few; give 1 or more")
    planner = Planner.of(tables, most_loss)
    rng = random.Random(0)  # noqa: S311 - repeatable, not secret
    best = Counter(replace(planner.choose(random_state(rng)), in_flight=1) for _ in range(STATES))
    found = [plan for plan, _ in best.most_common(most)]
    return found if LOCAL in found else [*found[: most - 1], LOCAL]


def random_state(rng: random.Random) -> State:
    """Any state that a scheduler may find itself in, link reachable and no plan in force."""

    def between(low: float, high: float) -> float:
        return math.exp(rng.uniform(math.log(low), math.log(high)))

    return State(
        queue=rng.choice((0, 1, 2, 4, 8, 16, 32, 64)),
        arrival_rate=rng.choice((math.inf, between(0.5, 1000))),
        deadline_s=rng.choice((math.inf, between(0.02, 1))),
        link=LinkView(between(1e4, 2e7), between(0.001, 0.2)),
        device_factor=between(0.5, 12),
        server_factor=between(0.5, 4),
    )


class Foreseen(NamedTuple):
    """What the actions would do in one state.

    ``feasible`` ``[actions]``, never all False, says which may be chosen, and ``best_rate`` what the fastest of those
    answers a second; ``local_s`` is what the device takes for one frame.
    """

    forecast: Forecast
    feasible: NDArray[np.bool_]
    best_rate: float
    local_s: float


class ActionSet:
    """The actions of a learned policy as the tables at hand know them.

    ``usable`` ``[actions]`` says which of ``plans`` these tables have, within ``most_loss``. Raises ArgumentError
    without `LOCAL`, which is what remains when nothing else is possible.
    """

    def __init__(self, tables: Tables, plans: Sequence[Plan], most_loss: float) -> None:
        if LOCAL not in plans:
            raise ArgumentError(f"actions: {LOCAL.name} is not among the {len(plans)} plans; add it")
        self.plans = tuple(plans)
        self.usable: NDArray[np.bool_] = np.array([_known(tables, plan, most_loss) for plan in plans])
        # What is unknown has no forecast of its own: the local plan's stands there.
        known = [plan if usable else LOCAL for plan, usable in zip(plans, self.usable, strict=True)]
        self._costs = Costs(tables, known)
        self._accurate = self._costs.loss <= most_loss
        self._local = self.plans.index(LOCAL)

    def foresee(self, state: State) -> Foreseen:
        """Every action in ``state``; feasible is what the link allows, and is in time if any action is."""
        forecast = self._costs.forecast(state)
        possible = self.usable & forecast.possible
        accurate = possible & self._accurate
        possible = accurate if accurate.any() else possible
        in_time = possible & (forecast.latency_s <= state.deadline_s)
        feasible = in_time if in_time.any() else possible
        return Foreseen(
            forecast, feasible, float(forecast.rate[feasible].max()), float(forecast.latency_s[self._local])
        )


def _known(tables: Tables, plan: Plan, most_loss: float) -> bool:
    if local_frames(plan) and not tables.local_within(most_loss):
        return plan == LOCAL
    if not plan.sends:
        return True
    levels = {level.name: level for site in tables.sites if site.cut == plan.cut for level in site.levels}
    level = levels.get(plan.level)
    return level is not None and level.within(most_loss) and plan.batch <= tables.largest_batch
