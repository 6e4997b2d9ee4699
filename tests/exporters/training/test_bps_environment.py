"""The scheduler's simulator as an environment of the usual interface."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from edge_runtime.scheduling.actions import actions
from edge_runtime.scheduling.plans import LOCAL, Plan
from exporters.training.bps_environment import STEPS, BpsEnvironment

if TYPE_CHECKING:
    from edge_runtime.scheduling.tables import Tables


@pytest.fixture
def environment(tables: Tables) -> BpsEnvironment:
    """Over the example tables."""
    return BpsEnvironment(tables, actions(tables, 0.01), 0.01)


def episode(environment: BpsEnvironment, seed: int) -> list[float]:
    """Rewards of one episode of which the seed decides the actions, too."""
    environment.reset(seed=seed)
    chance, rewards, over = np.random.default_rng(seed), [], False
    while not over:
        _, reward, _, over, _ = environment.step(chance.integers(len(environment.actions.plans)))
        rewards.append(reward)
    return rewards


def test_it_keeps_gymnasiums_rules(environment: BpsEnvironment) -> None:
    """Spaces, seeds and return values are as Gymnasium's own checker wants them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*alternative render modes", UserWarning)
        check_env(environment)


def test_the_seed_decides_all(environment: BpsEnvironment) -> None:
    """The same seed and actions give the same rewards, another seed others."""
    first = episode(environment, 5)
    assert episode(environment, 5) == first
    assert episode(environment, 6) != first


def test_episodes_end(environment: BpsEnvironment) -> None:
    """By truncation, after a bounded number of steps."""
    assert all(1 < len(episode(environment, seed)) <= STEPS for seed in range(4))


def test_the_action_decides_what_is_earned(tables: Tables) -> None:
    """On the same worlds the device alone, one by one, earns less than a pipeline of batches."""
    plans = [LOCAL, Plan("hybrid", 4, "early", "ff q40", 1)]
    environment = BpsEnvironment(tables, plans, 0.01)
    earned = []
    for action in (0, 1):
        rewards = []
        for seed in range(10):
            environment.reset(seed=seed)
            rewards += [environment.step(np.int64(action))[1] for _ in range(10)]
        earned.append(np.mean(rewards))
    assert earned[0] < earned[1] - 0.1
