"""The reward: 1 for doing what the best plan could, less for everything that is worse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.simulator import Settings, World
from edge_runtime.scheduling.traces import Trace, steady, until
from exporters.training.bps_reward import CHANGE, Course, oracle_course
from exporters.training.bps_worlds import Episode

if TYPE_CHECKING:
    from edge_runtime.scheduling.state import State
    from edge_runtime.scheduling.tables import Tables


class _Fixed:
    """Always these plans in turn."""

    name = "fixed"

    def __init__(self, *plans: Plan) -> None:
        self._plans = plans
        self._number = 0
        self.probe: Plan | None = None

    def choose(self, state: State) -> Plan:  # noqa: ARG002 - a policy's interface
        self._number += 1
        return self._plans[self._number % len(self._plans)]


@pytest.fixture
def saturated(tables: Tables) -> Episode:
    """A device eight times slower than its tables, a fast link, and more frames than anyone could answer."""
    world = World(tables, Trace.constant(5e6), 0.01, device=Trace.constant(8.0))
    return Episode(world, tables, Settings(), 0)


def mean(course: Course) -> float:
    """Of eight stretches of half a second, after one to get going."""
    course.advance(0.5)
    return sum(course.advance(0.5) for _ in range(8)) / 8


def test_the_best_plan_earns_nearly_one(saturated: Episode) -> None:
    """And one that leaves the server idle earns what it answers of that."""
    assert mean(oracle_course(saturated, 0.01)) == pytest.approx(1.0, abs=0.1)
    assert mean(Course(saturated, _Fixed(LOCAL), 0.01)) == pytest.approx(25 / 250, abs=0.05)


def test_a_light_load_is_judged_by_its_latency(saturated: Episode) -> None:
    """Where every plan answers everything, the quicker one earns more, and the best nearly one."""
    light = replace(saturated, arrivals=until(steady(5.0), 10.0), rate=5.0)
    quick = mean(oracle_course(light, 0.01))
    slow = mean(Course(light, _Fixed(LOCAL), 0.01))
    assert quick == pytest.approx(1.0, abs=0.1)
    assert slow < quick - 0.02


def test_late_answers_cost(saturated: Episode) -> None:
    """Batches that always come after the deadline earn less than nothing."""
    hasty = replace(saturated, deadline_s=0.3)
    assert mean(Course(hasty, _Fixed(Plan("local", 32)), 0.01)) < 0


def test_wrong_answers_count_as_none(saturated: Episode) -> None:
    """Of as many frames, a level that loses a twentieth of the right answers earns a twentieth less."""
    light = replace(saturated, arrivals=until(steady(20.0), 10.0), rate=20.0)
    finer, coarser = (_Fixed(Plan("remote", 1, "", level, in_flight=4)) for level in ("jpeg q75", "jpeg q10"))
    lost = mean(Course(light, finer, 0.06)) - mean(Course(light, coarser, 0.06))
    assert lost == pytest.approx(0.05, abs=0.02)


def test_changing_the_mode_costs(saturated: Episode) -> None:
    """Going to and fro between modes in a stretch costs the change, staying costs nothing."""
    light = replace(saturated, arrivals=until(steady(5.0), 10.0), rate=5.0)
    remote, split = Plan("remote", 1, "", "jpeg q75"), Plan("split", 1, "early", "ff q70")
    single = [mean(Course(light, _Fixed(plan), 0.01)) for plan in (remote, split)]
    mixed = mean(Course(light, _Fixed(remote, split), 0.01))
    assert mixed == pytest.approx(sum(single) / 2 - CHANGE, abs=0.01)
