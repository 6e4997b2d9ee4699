"""The actions of a learned policy: which are worth having, and which these tables allow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling.actions import ActionSet, actions
from edge_runtime.scheduling.forecast import candidates
from edge_runtime.scheduling.planner import Planner
from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.state import State

if TYPE_CHECKING:
    from edge_runtime.scheduling.tables import Tables

GOOD_LINK = LinkView(bandwidth=1e6, round_trip_s=0.01)


def test_actions_are_candidates_and_include_the_local_plan(tables: Tables) -> None:
    """Each is a plan within the loss, none twice; the local one is there even where only one may be."""
    found = actions(tables, 0.01)
    assert len(found) == len(set(found)) <= 60
    assert set(found) <= set(candidates(tables, 0.01))
    assert LOCAL in found
    assert actions(tables, 0.01, most=1) == [LOCAL]


def test_few_actions_do_nearly_what_all_plans_do(tables: Tables) -> None:
    """On a saturated link of any speed the best action has nine tenths of the best plan's rate or more."""
    few = Planner(tables, actions(tables, 0.01))
    every = Planner.of(tables, 0.01)
    for bandwidth in np.geomspace(1e4, 1e7, 12):
        state = State(64, math.inf, math.inf, LinkView(float(bandwidth), 0.02), device_factor=4.0)
        assert few.explain(state).chosen.rate >= 0.9 * every.explain(state).chosen.rate


def test_no_actions_at_all_are_refused(tables: Tables) -> None:
    """Both counts that leave nothing to choose are errors that say so."""
    with pytest.raises(ArgumentError, match="most: 0 actions"):
        actions(tables, 0.01, most=0)
    with pytest.raises(ArgumentError, match=r"local\(1\) is not among the 1 plans"):
        ActionSet(tables, [Plan("local", 4)], 0.01)


@pytest.mark.parametrize(
    "plan",
    [
        Plan("split", 1, "elsewhere", "ff q40"),
        Plan("split", 1, "early", "ff q41"),
        Plan("split", 1, "early", "ff q10"),
        Plan("remote", 32, "", "jpeg q75"),
    ],
    ids=["no such cut", "no such level", "loses too much", "batch too large"],
)
def test_what_the_tables_lack_is_never_feasible(tables: Tables, plan: Plan) -> None:
    """An action that was learnt on other tables is masked, and the others are not."""
    tables = msgspec.structs.replace(tables, largest_batch=16)
    found = ActionSet(tables, [LOCAL, Plan("remote", 1, "", "jpeg q75"), plan], 0.01)
    assert found.foresee(State(4, 50.0, math.inf, GOOD_LINK)).feasible.tolist() == [True, True, False]


def test_only_local_actions_are_feasible_without_a_link(tables: Tables) -> None:
    """Nothing that sends may be chosen while the link is not reachable."""
    plans = actions(tables, 0.01)
    state = State(4, 50.0, math.inf, LinkView(1e6, 0.01, reachable=False))
    feasible = ActionSet(tables, plans, 0.01).foresee(state).feasible
    assert [plan for plan, may in zip(plans, feasible, strict=True) if may] == [p for p in plans if not p.sends]


def test_late_actions_are_feasible_only_when_all_are_late(tables: Tables) -> None:
    """With 10 ms a batch of one is in time and one of 32 is not; with none at all, both count."""
    found = ActionSet(tables, [LOCAL, Plan("local", 32)], 0.01)
    assert found.foresee(State(40, 50.0, 0.01, GOOD_LINK)).feasible.tolist() == [True, False]
    assert found.foresee(State(40, 50.0, 0.0, GOOD_LINK)).feasible.tolist() == [True, True]


def test_a_lossy_device_is_the_last_resort(tables: Tables) -> None:
    """Where the network on the device loses too much, only `LOCAL` of its actions is left, for want of a link."""
    lossy = msgspec.structs.replace(tables, local_loss=0.03)
    plans = [LOCAL, Plan("local", 4), Plan("remote", 1, "", "jpeg q30"), Plan("hybrid", 1, "late", "ff q40", 1)]
    actions = ActionSet(lossy, plans, 0.01)
    assert list(actions.foresee(State(0, 1.0, math.inf, GOOD_LINK)).feasible) == [False, False, True, False]
    gone = State(0, 1.0, math.inf, LinkView(1e6, 0.01, reachable=False))
    assert list(actions.foresee(gone).feasible) == [True, False, False, False]
