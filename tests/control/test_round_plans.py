"""The search among the plans for two rounds, against the same search in plain Python."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.control.round_plans import ACCURACY_INERTIA, BYTES_INERTIA, ROUND_BYTES, Conditions, RoundPlans
from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from edge_runtime.control.rounds import RoundTables

bandwidths = st.floats(1e3, 1e8)
few_seconds = st.floats(0.0, 0.2)
conditions = st.builds(
    Conditions,
    bandwidth=bandwidths,
    round_trip_s=few_seconds,
    server_factor=st.floats(0.1, 5.0),
    queue_s=few_seconds,
    first_margin_s=few_seconds,
    second_margin_s=few_seconds,
)
deadlines = st.floats(0.0, 1.0)
wishes = st.one_of(st.none(), st.floats(0.7, 1.0))


def brute_force(
    tables: RoundTables, now: Conditions, left_s: float, wanted: float | None, price: float
) -> float | None:
    """The value of the best plan that fits: fewest bytes (negative) that reach ``wanted``, else accuracy less price."""
    reaching, others = [], []
    for setting, first, second, below in product(*map(range, (4, len(tables.first), len(tables.second), 8))):
        accuracy = tables.accuracy[setting][first][second][below]
        if accuracy is None:
            continue
        asks = second > 0 and tables.below[below] > 0
        round_s = now.round_trip_s + now.queue_s
        taken_s = (tables.first_bytes[setting][first].most + ROUND_BYTES) / now.bandwidth + round_s
        taken_s += now.server_factor * tables.server_ms.first[first] / 1e3 + now.first_margin_s
        sent = tables.first_bytes[setting][first].mean + ROUND_BYTES
        if asks:
            taken_s += (tables.second_bytes[setting][second].most + ROUND_BYTES) / now.bandwidth + round_s
            taken_s += now.server_factor * tables.server_ms.update[second] / 1e3 + now.second_margin_s
            asked = tables.asked[setting][first][below]
            sent += asked * (tables.second_bytes[setting][second].mean + ROUND_BYTES)
        # Rounding may differ by a hair.
        if taken_s > left_s + 1e-12:
            continue
        if wanted is not None and accuracy >= wanted:
            reaching.append(-sent)
        else:
            others.append(accuracy - (price * sent if wanted is None else 0.0))
    return max(reaching or others, default=None)


@settings(max_examples=40, deadline=None)
@given(conditions, deadlines, wishes, st.floats(0.0, 1e-4))
def test_the_plan_is_the_best_of_all(
    tables: RoundTables, now: Conditions, left_s: float, wanted: float | None, price: float
) -> None:
    """It is worth as much as the best one found in plain Python, and there is none when that finds none."""
    plans = RoundPlans(tables, wanted, price)
    place = plans.best(now, left_s)
    expected = brute_force(tables, now, left_s, wanted, price)
    if place is None:
        assert expected is None
        return
    plan = plans.plan(place, now)
    if wanted is None:
        found = plan.accuracy - price * plan.expected_bytes
    else:
        found = -plan.expected_bytes if plan.accuracy >= wanted else plan.accuracy
    assert found == pytest.approx(expected, rel=1e-9)


@settings(max_examples=200, deadline=None)
@given(conditions, deadlines, wishes, st.integers(0, 1000))
def test_no_plan_takes_longer_than_there_is_time(
    tables: RoundTables, now: Conditions, left_s: float, wanted: float | None, kept: int
) -> None:
    """Neither a new plan's rounds together, nor those of one that was in force."""
    plans = RoundPlans(tables, wanted, 0.0)
    place = plans.best(now, left_s, kept)
    if place is not None:
        plan = plans.plan(place, now)
        assert plan.first_s + plan.second_s <= left_s + 1e-9
        assert plan.second_s == 0 or plan.mode == "two-round"


@settings(max_examples=200, deadline=None)
@given(conditions, deadlines, deadlines)
def test_less_time_never_gives_more_accuracy(tables: RoundTables, now: Conditions, one: float, other: float) -> None:
    """When only accuracy counts and nothing else changes."""
    plans = RoundPlans(tables, None, 0.0)
    less, more = (plans.best(now, left_s) for left_s in sorted((one, other)))
    if less is not None:
        assert more is not None
        assert plans.columns.accuracy[less] <= plans.columns.accuracy[more]


@settings(max_examples=200, deadline=None)
@given(conditions, deadlines, wishes, st.integers(0, 1000))
def test_a_plan_in_force_is_kept_while_it_is_hardly_worse(
    tables: RoundTables, now: Conditions, left_s: float, wanted: float | None, kept: int
) -> None:
    """What it loses by that is less than the inertia, and it never falls below the wanted accuracy."""
    plans = RoundPlans(tables, wanted, 0.0)
    fresh, found = plans.best(now, left_s), plans.best(now, left_s, kept)
    assert found in {fresh, kept}
    if found is None or fresh is None:
        assert found == fresh
        return
    new, old = plans.plan(fresh, now), plans.plan(found, now)
    if wanted is not None and new.accuracy >= wanted:
        assert old.accuracy >= wanted
        assert old.expected_bytes <= new.expected_bytes * math.exp(BYTES_INERTIA)
    else:
        assert old.accuracy >= new.accuracy - ACCURACY_INERTIA


def test_a_plan_hardly_worse_stays(tables: RoundTables) -> None:
    """The second best is kept once it is in force, and the worst is not."""
    plans, now = RoundPlans(tables, 0.9, 0.0), Conditions(1e6, 0.02)
    assert plans.best(now, 1.0) == 0
    assert plans.best(now, 1.0, 1) == 1
    assert plans.best(now, 1.0, len(plans.columns.setting) - 1) == 0


def test_the_best_effort_is_the_smallest_single_round(tables: RoundTables) -> None:
    """With its mean bytes, and no margin."""
    plan = RoundPlans(tables, 0.97, 0.0).best_effort(Conditions(1e5, 0.02, first_margin_s=1.0))
    assert (plan.codec, plan.quality, plan.first, plan.second, plan.mode) == ("webp", 10, 20, 0, "best-effort")
    assert plan.first_s == pytest.approx(0.02 + (360 + ROUND_BYTES) / 1e5 + tables.server_ms.first[0] / 1e3)


def test_a_second_round_of_other_size_lies_between_its_neighbours(tables: RoundTables) -> None:
    """Its bytes are those of the plan's own setting."""
    plans = RoundPlans(tables, None, 0.0)
    plan = plans.plan(0, Conditions(1e6, 0.02))
    size, server_s = plans.second_round(plan, 15)
    setting = [(one.codec, one.quality) for one in tables.settings].index((plan.codec, plan.quality))
    low, high = tables.second_bytes[setting][1:3]
    assert size == pytest.approx((low.most + high.most) / 2 + ROUND_BYTES)
    assert server_s == pytest.approx(0.008)


def test_tables_without_any_accuracy_have_no_plans(tables: RoundTables) -> None:
    """That is said when they are read, not at the first photo."""
    none = [[[[None] * len(tables.below)] * len(tables.second)] * len(tables.first)] * len(tables.settings)
    with pytest.raises(ArgumentError, match="no accuracy"):
        RoundPlans(msgspec.structs.replace(tables, accuracy=none), None, 0.0)
