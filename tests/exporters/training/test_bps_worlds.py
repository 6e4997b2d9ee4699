"""Random worlds are repeatable, possible, and as different as they should be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from exporters.training.bps_worlds import MBIT, draw

if TYPE_CHECKING:
    from edge_runtime.scheduling.tables import Tables
    from exporters.training.bps_worlds import Episode


@pytest.fixture(scope="module")
def episodes(tables: Tables) -> list[Episode]:
    """Sixty of them."""
    return [draw(tables, 0.01, seed) for seed in range(60)]


def test_a_seed_gives_the_same_world_again(tables: Tables, episodes: list[Episode]) -> None:
    """Links, loads and mistakes come again, and other seeds give others."""
    again = draw(tables, 0.01, 3)
    assert again.world.tables == episodes[3].world.tables
    assert again.world.bandwidth.steps == episodes[3].world.bandwidth.steps
    assert (again.rate, again.arrivals) == (episodes[3].rate, episodes[3].arrivals)
    assert len({episode.world.round_trip_s for episode in episodes}) == len(episodes)


def test_worlds_stay_within_their_bounds(tables: Tables, episodes: list[Episode]) -> None:
    """Tables are wrong by no more than a factor of two, links and slowdowns within what is told of them."""
    for episode in episodes:
        world = episode.world
        assert all(0.1 * MBIT / 3 <= value <= 300 * MBIT for _, value in world.bandwidth.steps)
        assert all(1 <= value <= 12 for _, value in world.device.steps)
        assert 0.5 <= world.tables.local_s[1] / tables.local_s[1] <= 2
        assert 0 <= world.noise <= 0.3
        assert episode.believed == tables


def test_all_kinds_of_loads_occur(episodes: list[Episode]) -> None:
    """Saturating and finite ones, with and without deadlines; at least a twentieth of the worlds each."""
    for found in (
        [episode.rate == math.inf for episode in episodes],
        [episode.rate < math.inf for episode in episodes],
        [episode.deadline_s == math.inf for episode in episodes],
        [episode.deadline_s < 0.5 for episode in episodes],
        [len(episode.world.bandwidth.steps) == 1 for episode in episodes],
        [len(episode.world.bandwidth.steps) > 2 for episode in episodes],
    ):
        assert sum(found) >= len(episodes) / 20


def test_the_truth_is_what_the_traces_say(episodes: list[Episode]) -> None:
    """It changes with them over time."""
    episode = next(one for one in episodes if len(one.world.bandwidth.steps) > 2)
    late = episode.world.bandwidth.steps[1][0]
    assert episode.truth(late).link.bandwidth == episode.world.bandwidth.at(late)
    assert episode.truth(0.0).link.bandwidth != episode.truth(late).link.bandwidth
