"""Which plan the exact planner takes, and why."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.scheduling.forecast import Costs, candidates
from edge_runtime.scheduling.planner import HEADROOM, INERTIA, Planner, cheapest, wanted_rate
from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.state import State
from edge_runtime.scheduling.tables import Tables

MOST_LOSS = 0.01


@pytest.fixture(scope="module")
def planner(tables: Tables) -> Planner:
    """All plans within a point."""
    return Planner.of(tables, MOST_LOSS)


def states() -> st.SearchStrategy[State]:
    """Any moment on any link."""
    links = st.builds(LinkView, st.floats(1e3, 1e8), st.floats(0, 1), reachable=st.booleans())
    return st.builds(
        State,
        queue=st.integers(0, 64),
        arrival_rate=st.floats(0, 1000),
        deadline_s=st.floats(0.01, 10) | st.just(math.inf),
        link=links,
        device_factor=st.floats(0.2, 50),
        server_factor=st.floats(0.2, 50),
    )


@given(states())
def test_what_is_chosen_keeps_the_loss_the_deadline_and_the_link(planner: Planner, state: State) -> None:
    """Never too lossy, never without a link, never too slow for the deadline where another plan is quick enough."""
    chosen = planner.explain(state).chosen
    plan = chosen.plan
    assert chosen.loss <= MOST_LOSS
    assert state.link.reachable or not plan.sends
    forecast = planner.costs.forecast(state)
    quickest_s = forecast.latency_s[forecast.possible].min()
    assert chosen.latency_s <= state.deadline_s or quickest_s > state.deadline_s


@given(states())
def test_a_light_load_gets_the_quickest_plan_that_keeps_up(planner: Planner, state: State) -> None:
    """No plan that keeps up, and is in time, is quicker; where none does, none in time has a higher rate."""
    explanation = planner.explain(state)
    forecast = planner.costs.forecast(state)
    in_time = forecast.possible & (forecast.latency_s <= state.deadline_s)
    keeping_up = in_time & (forecast.rate >= wanted_rate(state))
    assert explanation.keeps_up == keeping_up.any() or not in_time.any()
    if keeping_up.any():
        assert explanation.chosen.latency_s == pytest.approx(forecast.latency_s[keeping_up].min())
    full = in_time & (forecast.full_latency_s <= state.deadline_s)
    if not keeping_up.any() and full.any():
        assert explanation.chosen.rate == pytest.approx(forecast.rate[full].max())


def test_a_light_load_is_answered_one_frame_at_a_time_and_a_heavy_one_in_batches(planner: Planner) -> None:
    """Two frames a second, and as many as are taken."""
    link = LinkView(1e6, 0.02)
    light = planner.choose(State(1, 2.0, math.inf, link))
    heavy = planner.explain(State(64, math.inf, math.inf, link)).chosen
    assert light == LOCAL
    assert heavy.plan.batch > 4
    assert heavy.plan.in_flight > 1
    assert heavy.rate == pytest.approx(planner.costs.forecast(State(64, math.inf, math.inf, link)).rate.max())


def test_a_backlog_asks_for_more_than_the_arrivals() -> None:
    """It should be gone within a second."""
    link = LinkView(1e6, 0.02)
    assert wanted_rate(State(30, 10.0, math.inf, link)) == pytest.approx(HEADROOM * 10 + 30)


def test_the_plan_in_force_stays_until_another_one_is_clearly_better(tables: Tables) -> None:
    """A bandwidth that makes the other one per cent better changes nothing, one that makes it ten does."""
    local, remote = Plan("local", 32), Plan("remote", 32, "", "jpeg q30")
    planner = Planner(tables, [local, remote])

    def better_by(gain: float) -> State:
        """The slowest link over which ``remote`` is so much better than a device half as fast as its tables."""
        for step in range(2000):
            link = LinkView(1e5 * 1.002**step, 0.02)
            state = State(64, math.inf, math.inf, link, device_factor=2.0, plan=local)
            local_rate, remote_rate = planner.costs.forecast(state).rate
            if remote_rate > (1 + gain) * local_rate:
                return state
        raise AssertionError("photos never pay")

    assert planner.choose(better_by(INERTIA / 3)) == local
    assert planner.choose(better_by(0.1)).mode == "remote"


@given(states())
def test_the_runner_up_is_of_another_kind(planner: Planner, state: State) -> None:
    """The same plan with another batch would explain nothing; a link that is gone leaves nothing else."""
    explanation = planner.explain(state)
    chosen, other = explanation.chosen.plan, explanation.runner_up.plan
    assert (chosen.mode, chosen.cut) != (other.mode, other.cut)


def test_the_probe_is_the_request_of_one_frame_that_sends_least(tables: Tables, planner: Planner) -> None:
    """Of the late maps at their coarsest; none where nothing may be sent."""
    probe = planner.probe
    assert probe is not None
    assert (probe.mode, probe.batch, probe.cut, probe.level) == ("split", 1, "late", "ff q10")
    assert cheapest(Costs(tables, candidates(tables, 0.0))) is None


def test_a_device_that_loses_answers_computes_here_only_without_a_link(tables: Tables) -> None:
    """An int8 network may lose more than is allowed: then everything is sent, as long as there is a server."""
    lossy = msgspec.structs.replace(tables, local_loss=0.03, local_loss_error=0.001)
    planner = Planner.of(lossy, MOST_LOSS)
    idle = State(0, 1.0, math.inf, LinkView(1e4, 0.5))
    assert not planner.choose(replace(idle, link=LinkView(1e6, 0.02))).local
    assert planner.choose(idle).sends
    assert planner.explain(idle).chosen.loss <= MOST_LOSS
    assert planner.choose(replace(idle, link=LinkView(1e4, 0.5, reachable=False))) == LOCAL
    assert planner.explain(replace(idle, link=LinkView(1e4, 0.5, reachable=False))).chosen.loss == 0.03
