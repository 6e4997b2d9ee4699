"""How good a scheduler's policy is in worlds that it was not trained in, beside the planner and one that knows all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.scheduling.planner import Planner
from exporters.training.bps_reward import Course, oracle_course
from exporters.training.bps_worlds import draw

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edge_runtime.scheduling.state import Policy
    from edge_runtime.scheduling.tables import Tables
    from exporters.training.bps_worlds import Episode

    F64 = NDArray[np.float64]

# Seeds of training worlds lie below 2³¹; the thousand above chose the network's inputs and the training's constants.
HELD_OUT = 2**31 + 1000
STRETCHES, STRETCH_S = 16, 0.75
RESAMPLES = 2000


class HeldOut:
    """So many held-out worlds, with what the planner and the oracle earn in each: mean rewards, ``[worlds]``."""

    def __init__(self, tables: Tables, most_loss: float, worlds: int) -> None:
        self._most_loss = most_loss
        self._episodes = [draw(tables, most_loss, HELD_OUT + number) for number in range(worlds)]
        self.planner = self.rewards(Planner.of(tables, most_loss))
        self.oracle = self._earned(lambda episode: oracle_course(episode, most_loss))

    def rewards(self, policy: Policy) -> F64:
        """What ``policy`` earns in each world."""
        return self._earned(lambda episode: Course(episode, policy, self._most_loss))

    def compare(self, policy: Policy) -> dict[str, float | list[float]]:
        """Mean reward of ``policy``, and its shares of the planner's and the oracle's with their 95 % intervals."""
        found = self.rewards(policy)
        return {
            "reward": float(found.mean()),
            "planner": float(self.planner.mean()),
            "oracle": float(self.oracle.mean()),
            "of_planner": share(found, self.planner),
            "of_oracle": share(found, self.oracle),
        }

    def _earned(self, begin: Callable[[Episode], Course]) -> F64:
        courses = (begin(episode) for episode in self._episodes)
        return np.array([np.mean([course.advance(STRETCH_S) for _ in range(STRETCHES)]) for course in courses])


def share(found: F64, reference: F64) -> list[float]:
    """Ratio of the means of two ``[worlds]``, then the ends of its 95 % interval, by drawing worlds anew."""
    draws = np.random.default_rng(0).integers(len(found), size=(RESAMPLES, len(found)))
    low, high = np.percentile(found[draws].mean(1) / reference[draws].mean(1), (2.5, 97.5))
    return [round(float(value), 4) for value in (found.mean() / reference.mean(), low, high)]
