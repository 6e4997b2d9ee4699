"""A learned policy: whatever its network says, what it chooses can be done."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.errors import ModelError
from edge_runtime.scheduling.actions import actions
from edge_runtime.scheduling.features import FEATURES
from edge_runtime.scheduling.forecast import Costs
from edge_runtime.scheduling.learned import LearnedPolicy, metadata
from edge_runtime.scheduling.planner import Planner
from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.simulator import Load, World, simulate
from edge_runtime.scheduling.state import State
from edge_runtime.scheduling.traces import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.scheduling.tables import Tables


def policy_file(plans: Sequence[Plan], weights: NDArray[np.float32], **changed: str) -> bytes:
    """A linear policy with ``weights`` ``[features, actions]``; ``changed`` are wrong entries of its metadata."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "weights"], ["values"])],
        "policy",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", weights.shape[0]])],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["batch", weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {**metadata(plans), **changed})
    return bytes(model.SerializeToString())


def preferring(plans: Sequence[Plan], plan: Plan) -> bytes:
    """A policy that prefers one plan while the link is there."""
    weights = np.zeros((len(FEATURES), len(plans)), np.float32)
    weights[FEATURES.index("reachable"), plans.index(plan)] = 1.0
    return policy_file(plans, weights)


@pytest.fixture(scope="module")
def usable(tables: Tables) -> list[Plan]:
    """The plans worth having on these tables."""
    return actions(tables, 0.01)


@pytest.fixture(scope="module")
def plans(usable: list[Plan]) -> list[Plan]:
    """The same and three more, which these tables lack or which lose too much."""
    unknown = [Plan("split", 1, "elsewhere", "ff q40"), Plan("split", 1, "early", "ff q41")]
    return [*usable, *unknown, Plan("split", 1, "early", "ff q10")]


@pytest.fixture(scope="module")
def costs(tables: Tables, usable: list[Plan]) -> Costs:
    """What the usable plans cost."""
    return Costs(tables, usable)


@pytest.fixture(scope="module")
def erratic(tables: Tables, plans: list[Plan]) -> LearnedPolicy:
    """A policy whose values are noise."""
    weights = np.random.default_rng(0).normal(0, 1, (len(FEATURES), len(plans))).astype(np.float32)
    return LearnedPolicy(policy_file(plans, weights), tables, 0.01)


@given(
    st.builds(
        State,
        queue=st.integers(0, 100),
        arrival_rate=st.sampled_from([0.0, 10.0, 1000.0, math.inf]),
        deadline_s=st.floats(1e-3, 1.0) | st.just(math.inf),
        link=st.builds(LinkView, st.floats(1e3, 1e8), st.floats(1e-3, 0.3), reachable=st.booleans()),
        device_factor=st.floats(0.1, 20),
        server_factor=st.floats(0.1, 20),
        plan=st.sampled_from([None, LOCAL, Plan("hybrid", 4, "early", "ff q40", 1, 3)]),
    )
)
def test_an_infeasible_plan_is_never_chosen(
    usable: list[Plan], costs: Costs, erratic: LearnedPolicy, state: State
) -> None:
    """Not unknown, not over a lost link, not late while another plan is in time, whatever the network says."""
    chosen = usable.index(replace(erratic.choose(state), in_flight=1))
    forecast = costs.forecast(state)
    assert forecast.possible[chosen]
    in_time = forecast.latency_s <= state.deadline_s
    assert in_time[chosen] or not in_time[forecast.possible].any()


def test_it_takes_the_action_of_the_highest_value(tables: Tables, plans: list[Plan]) -> None:
    """The one that the network prefers, with the requests in flight that its forecast has."""
    wanted = Plan("split-pipeline", 1, "early", "ff q40")
    state = State(8, 50.0, math.inf, LinkView(bandwidth=1e7, round_trip_s=0.1))
    chosen = LearnedPolicy(preferring(plans, wanted), tables, 0.01).choose(state)
    assert chosen == Planner(tables, [wanted]).choose(state)
    assert chosen.in_flight > 1


def test_what_it_prefers_must_be_feasible(tables: Tables, plans: list[Plan]) -> None:
    """A plan that these tables lack is never taken, however the network values it."""
    policy = LearnedPolicy(preferring(plans, plans[-1]), tables, 0.01)
    assert policy.choose(State(8, 50.0, math.inf, LinkView(1e7, 0.002))) != plans[-1]


def test_it_drives_the_simulator(tables: Tables, plans: list[Plan]) -> None:
    """In a whole run far more frames are answered than the slow device could alone."""
    world = World(tables, Trace.constant(1e6), 0.01, device=Trace.constant(8.0))
    policy = LearnedPolicy(preferring(plans, Plan("hybrid", 4, "early", "ff q40", 1)), tables, 0.01)
    assert simulate(world, policy, Load(None, 5.0)).rate() > 2 * 200 / 8


def test_values_that_are_no_numbers_still_give_a_feasible_plan(tables: Tables, plans: list[Plan]) -> None:
    """A broken network costs speed, never an answer."""
    weights = np.full((len(FEATURES), len(plans)), np.nan, np.float32)
    policy = LearnedPolicy(policy_file(plans, weights), tables, 0.01)
    assert not policy.choose(State(3, 10.0, math.inf, LinkView(1e6, 0.01, reachable=False))).sends


def test_the_probe_is_the_planners(tables: Tables) -> None:
    """A silent link is asked as the planner asks it, even by a policy that has no such action."""
    assert LearnedPolicy(preferring([LOCAL], LOCAL), tables, 0.01).probe == Planner.of(tables, 0.01).probe


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": "2"}, "format 2 is not supported"),
        ({"actions": "[{}]"}, "its actions cannot be read"),
        ({"actions": "[]"}, "not .*train it with this version"),
        ({"actions": '[{"mode": "local", "batch": 2}]'}, "is not among the 1 plans"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(tables: Tables, changed: dict[str, str], message: str) -> None:
    """One line says what is wrong with it."""
    weights = np.zeros((len(FEATURES), 1), np.float32)
    with pytest.raises(ModelError, match=message):
        LearnedPolicy(policy_file([LOCAL], weights, **changed), tables, 0.01)


def test_bytes_that_are_no_model_are_refused(tables: Tables) -> None:
    """The runtime's complaint becomes a model error."""
    with pytest.raises(ModelError, match=r"policy: onnxruntime .* cannot load it"):
        LearnedPolicy(b"no model", tables, 0.01)
