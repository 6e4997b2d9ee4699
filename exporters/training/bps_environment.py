"""The scheduler's simulator as a Gymnasium environment: an episode is a random world, a step holds one action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from edge_runtime.scheduling.actions import ActionSet
from edge_runtime.scheduling.features import FEATURES, LIMIT, features
from edge_runtime.scheduling.forecast import Costs, candidates
from edge_runtime.scheduling.planner import cheapest
from edge_runtime.scheduling.plans import LOCAL
from exporters.training.bps_reward import Course
from exporters.training.bps_worlds import DURATION_S, draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.scheduling.plans import Plan
    from edge_runtime.scheduling.state import State
    from edge_runtime.scheduling.tables import Tables

# Steps of an episode at most.
STEPS = 40
# A step lasts so many of the action's own latencies, or mean times between arrivals where those are longer, so that
# slow worlds and fast ones teach alike; in seconds at most.
HELD = 4.0
MOST_HELD_S = 5.0


class _Held:
    """The policy of the environment: the plan of the step."""

    name = "held"

    def __init__(self, probe: Plan | None) -> None:
        self.plan, self.probe = LOCAL, probe

    def choose(self, state: State) -> Plan:  # noqa: ARG002 - a policy's interface
        return self.plan


class BpsEnvironment(gymnasium.Env["NDArray[np.float32]", np.int64]):
    """Observes `features` float32 ``[features]``, takes the index of one of ``plans``, and earns `bps_reward`.

    An action that is not feasible is carried out as far as it can be, and earns what that brings. Worlds are drawn from
    the seed given to `reset`, then from that seed's random numbers.
    """

    def __init__(self, tables: Tables, plans: Sequence[Plan], most_loss: float) -> None:
        self.actions = ActionSet(tables, plans, most_loss)
        self.observation_space = gymnasium.spaces.Box(-LIMIT, LIMIT, (len(FEATURES),), np.float32)
        self.action_space = gymnasium.spaces.Discrete(len(plans))
        self.tables, self.most_loss = tables, most_loss
        self._probe = cheapest(Costs(tables, candidates(tables, most_loss)))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a new world."""
        super().reset(seed=seed, options=options)
        world = int(self.np_random.integers(2**31))
        self._held = _Held(self._probe)
        self._course = Course(draw(self.tables, self.most_loss, world), self._held, self.most_loss)
        self._steps = 0
        return self._observe(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Hold the action for its stretch of simulated time."""
        stages = self._forecast.stages(int(action))
        self._held.plan = stages.plan
        reward = self._course.advance(min(HELD * max(stages.latency_s, 1 / self._course.episode.rate), MOST_HELD_S))
        self._steps += 1
        over = self._steps == STEPS or self._course.simulation.now >= DURATION_S
        return self._observe(), reward, False, over, {}

    def _observe(self) -> NDArray[np.float32]:
        simulation = self._course.simulation
        state = simulation.dispatcher.state(simulation.now, reachable=simulation.reachable)
        foreseen = self.actions.foresee(state)
        self._forecast = foreseen.forecast
        return features(state, foreseen)
