"""The vector that a learned policy sees."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.scheduling.actions import ActionSet, actions
from edge_runtime.scheduling.features import LIMIT, feature_names, features
from edge_runtime.scheduling.planner import Planner
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
    found = features(state, action_set.foresee(state), action_set)
    return dict(zip(feature_names(action_set.plans), found.tolist(), strict=True))


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
    found = features(state, action_set.foresee(state), action_set)
    assert found.dtype == np.float32
    assert found.shape == (len(feature_names(action_set.plans)),)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= LIMIT


def test_a_state_is_told_by_its_features(action_set: ActionSet) -> None:
    """The units are those that the names' comments give."""
    link = LinkView(bandwidth=1e6, round_trip_s=0.1, deviation=0.5, age_s=3.0)
    found = named(State(3, 100.0, 0.1, link, device_factor=math.e, plan=LOCAL), action_set)
    wanted = {
        "queue": 1.0,
        "arrival_rate": 2.0,
        "deadline": -1.0,
        "bandwidth": 1.0,
        "deviation": 0.5,
        "round_trip": 1.0,
        "silence": 2.0,
        "reachable": 1.0,
        "device_factor": 1.0,
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


@pytest.mark.parametrize("rate", [20.0, math.inf])
def test_the_highest_merit_is_the_planners_choice(tables: Tables, action_set: ActionSet, rate: float) -> None:
    """Before anything is learnt the policy is the planner, whether some plan keeps up or none does."""
    state = State(0, rate, math.inf, LinkView(1e6, 0.01), device_factor=5.0)
    merits = features(state, action_set.foresee(state), action_set)[-len(action_set.plans) :]
    chosen = Planner(tables, action_set.plans).explain(state).chosen.plan
    assert action_set.plans[int(merits.argmax())] == replace(chosen, in_flight=1)
    assert merits.max() == 1.0
