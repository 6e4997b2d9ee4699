"""What a stretch of a scheduler's run is worth, in worlds fast and slow alike, and who would have made the most of it.

The unit is what the best plan under the true tables and the true link could have answered in the stretch. In it:

    reward = (in time − wrong − LATE · late) / best − SLOWNESS · ln(latency / best latency) − CHANGE · mode changed

``wrong`` are the answers lost to compression: a wrong answer is as good as none. ``late`` came after their deadline,
work done for nothing; what was dropped has merely earned nothing. Latency counts only where the best plan keeps up with
the arrivals: elsewhere it is the queue's.
"""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.scheduling.forecast import level_of
from edge_runtime.scheduling.planner import Planner
from edge_runtime.scheduling.timeline import ANSWERED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_runtime.scheduling.forecast import Stages
    from edge_runtime.scheduling.plans import Plan
    from edge_runtime.scheduling.state import Policy, State
    from edge_runtime.scheduling.timeline import Outcome
    from exporters.training.bps_worlds import Episode

# A late answer, being e times as slow as the best plan, and a change of mode, in shares of what could be answered.
LATE, SLOWNESS, CHANGE = 0.5, 0.05, 0.02
# One stretch moves the judgement by no more than this.
LEAST, MOST = -1.0, 2.0


class Course:
    """One episode under way, judged stretch by stretch."""

    def __init__(self, episode: Episode, policy: Policy, most_loss: float) -> None:
        self.episode = episode
        self.simulation = episode.simulation(policy)
        self._planner = Planner.of(episode.world.tables, most_loss)
        self._losses = {
            plan.name: level.loss
            for plan in self._planner.costs.plans
            if (level := level_of(episode.world.tables, plan)) is not None
        }

    def advance(self, stretch_s: float) -> float:
        """Let so many simulated seconds pass; what they were worth."""
        timeline, start_s = self.simulation.timeline, self.simulation.now
        seen, plans, waiting = len(timeline.outcomes), len(timeline.plans), self.simulation.dispatcher.queue
        best = self._planner.explain(self.episode.truth(start_s + stretch_s / 2))
        self.simulation.advance(start_s + stretch_s)
        at_hand = waiting + self._arrived(start_s, start_s + stretch_s)
        expected = max(min(best.chosen.rate * stretch_s, at_hand), 1.0)
        outcomes = timeline.outcomes[seen:]
        reward = self._answers(outcomes) / expected
        if best.keeps_up:
            reward -= SLOWNESS * _slowness(outcomes, best.chosen)
        modes = {name.partition("(")[0] for _, name in timeline.plans[max(plans - 1, 0) :]}
        reward -= CHANGE * (plans > 0 and len(modes) > 1)
        return min(max(reward, LEAST), MOST)

    def _answers(self, outcomes: Sequence[Outcome]) -> float:
        in_time = sum(outcome.in_time for outcome in outcomes)
        late = sum(outcome.fate in ANSWERED and not outcome.in_time for outcome in outcomes)
        wrong = sum(self._losses.get(one.plan, 0.0) for one in outcomes if one.fate == "server" and one.in_time)
        return in_time - wrong - LATE * late

    def _arrived(self, start_s: float, end_s: float) -> float:
        arrivals = self.episode.arrivals
        if arrivals is None:
            return math.inf
        return bisect.bisect(arrivals, end_s) - bisect.bisect(arrivals, start_s)


def _slowness(outcomes: Sequence[Outcome], best: Stages) -> float:
    latencies = [one.done_s - one.arrived_s for one in outcomes if one.fate in ANSWERED]
    return max(math.log(float(np.mean(latencies)) / best.latency_s), 0.0) if latencies else 0.0


class _Oracle:
    """The planner that knows the world: the true tables, and link, device and server as they are at that moment."""

    name = "oracle"
    # It needs none to know the link.
    probe: Plan | None = None

    def __init__(self, episode: Episode, most_loss: float) -> None:
        self._episode = episode
        self._planner = Planner.of(episode.world.tables, most_loss)
        self.clock: Callable[[], float] = lambda: 0.0

    def choose(self, state: State) -> Plan:
        return self._planner.choose(self._episode.truth(self.clock(), state.queue, state.plan))


def oracle_course(episode: Episode, most_loss: float) -> Course:
    """The episode under the planner that knows the world."""
    oracle = _Oracle(episode, most_loss)
    course = Course(episode, oracle, most_loss)
    oracle.clock = lambda: course.simulation.now
    return course
