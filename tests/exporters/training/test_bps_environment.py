"""The scheduler's simulator as an environment of the usual interface."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from edge_runtime.scheduling.actions import actions
from exporters.training.bps_environment import STEPS, BpsEnvironment

if TYPE_CHECKING:
    from edge_runtime.scheduling.tables import Tables


@pytest.fixture
def environment(tables: Tables) -> BpsEnvironment:
    """Over the example tables."""
    return BpsEnvironment(tables, actions(tables, 0.01), 0.01)


def episode(environment: BpsEnvironment, seed: int) -> list[float]:
    """Rewards of one episode in which the highest merit is followed."""
    seen, _ = environment.reset(seed=seed)
    rewards, over = [], False
    while not over:
        merits = seen[-len(environment.actions.plans) :]
        seen, reward, _, over, _ = environment.step(np.int64(merits.argmax()))
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


def test_following_the_merits_beats_chance(environment: BpsEnvironment) -> None:
    """What is to be learnt upon is better than choosing at random."""
    sensible = np.concatenate([episode(environment, seed) for seed in range(6)])
    chance, random = np.random.default_rng(0), []
    for seed in range(6):
        environment.reset(seed=seed)
        random += [environment.step(chance.integers(len(environment.actions.plans)))[1] for _ in range(20)]
    assert sensible.mean() > np.mean(random) + 0.1
