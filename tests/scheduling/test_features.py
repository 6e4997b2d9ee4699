"""The vector that a learned policy sees."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.scheduling.actions import ActionSet, actions
from edge_runtime.scheduling.features import FEATURES, LIMIT, features
from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.state import State

if TYPE_CHECKING:
    from edge_runtime.scheduling.tables import Tables

POSITIVE = st.floats(1e-9, 1e9)


@pytest.fixture(scope="module")
def action_set(tables: Tables) -> ActionSet:
    """The actions worth having on the example tables."""
    return ActionSet(tables, actions(tables, 0.01), 0.01)


def named(state: State, action_set: ActionSet) -> dict[str, float]:
    """Every feature by name."""
    return dict(zip(FEATURES, features(state, action_set.foresee(state)).tolist(), strict=True))


@given(
    st.builds(
        State,
        queue=st.integers(0, 10**6),
        arrival_rate=st.one_of(st.just(0.0), st.just(math.inf), POSITIVE),
        deadline_s=st.one_of(st.just(0.0), st.just(math.inf), POSITIVE),
        link=st.builds(LinkView, POSITIVE, st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.booleans()),
        device_factor=st.floats(1e-6, 1e6),
        server_factor=st.floats(1e-6, 1e6),
        plan=st.sampled_from([None, LOCAL, Plan("remote", 1, "", "jpeg q75")]),
    )
)
def test_features_are_finite_and_bounded(action_set: ActionSet, state: State) -> None:
    """Whatever the state, infinite rates and deadlines included, every feature lies within the limit."""
    found = features(state, action_set.foresee(state))
    assert found.dtype == np.float32
    assert found.shape == (len(FEATURES),)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= LIMIT


def test_a_state_is_told_by_its_features(action_set: ActionSet) -> None:
    """The units are those that the names' comments give."""
    link = LinkView(bandwidth=1e6, round_trip_s=0.1, deviation=0.5, age_s=3.0)
    found = named(State(3, 100.0, 0.1, link, device_factor=2 * math.e, plan=LOCAL), action_set)
    wanted = {
        "queue": 1.0,
        "arrival_rate": 2.0,
        "deadline": -1.0,
        "bandwidth": 1.0,
        "deviation": 0.5,
        "round_trip": 1.0,
        "silence": 2.0,
        "reachable": 1.0,
        "device": 1.0,
        "server_factor": 0.0,
        "in force: local": 1.0,
        "in force: remote": 0.0,
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def test_unknown_and_infinite_rates_lie_at_the_ends(action_set: ActionSet) -> None:
    """No arrivals yet is the lowest rate, a queue that never empties the highest, no deadline the longest."""
    link = LinkView(1e6, 0.01)
    assert named(State(0, 0.0, 0.1, link), action_set)["arrival_rate"] == -LIMIT
    endless = named(State(0, math.inf, math.inf, link), action_set)
    assert (endless["arrival_rate"], endless["deadline"]) == (LIMIT, LIMIT)


def test_a_slower_device_and_slower_tables_look_alike(tables: Tables, action_set: ActionSet) -> None:
    """What was learnt on one device's tables holds on those of a device that is six times slower."""
    link = LinkView(1e6, 0.01)
    slowed = ActionSet(tables.slowed(6.0), action_set.plans, 0.01)
    by_factor = named(State(4, 40.0, 0.5, link, device_factor=6.0), action_set)
    assert named(State(4, 40.0, 0.5, link), slowed) == pytest.approx(by_factor, abs=1e-5)


def test_whether_anything_keeps_up_is_told(action_set: ActionSet) -> None:
    """A few frames a second can be kept up with, thousands cannot."""
    link = LinkView(1e6, 0.01)
    assert named(State(0, 20.0, math.inf, link), action_set)["keeps_up"] == 1.0
    assert named(State(0, 5000.0, math.inf, link), action_set)["keeps_up"] == 0.0
