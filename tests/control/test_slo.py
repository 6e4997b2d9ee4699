"""What the planner of two rounds learns from replies, losses and silence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.control.round_plans import ROUND_BYTES
from edge_runtime.control.slo import Slo
from edge_runtime.errors import Unmeetable

if TYPE_CHECKING:
    from edge_runtime.control.round_plans import RoundPlan
    from edge_runtime.control.rounds import RoundTables

MBIT = 1e6 / 8
ROUND_TRIP_S, DEADLINE_S, PERIOD_S = 0.02, 0.08, 0.25


class Client:
    """Asks about photos over a link without noise, on a virtual clock."""

    def __init__(self, tables: RoundTables, bandwidth: float, wanted: float | None = None) -> None:
        self.now, self.tables = 100.0, tables
        self.slo = Slo(tables, LinkEstimate(bandwidth, ROUND_TRIP_S, self.now), wanted=wanted, clock=lambda: self.now)

    def plan(self, left_s: float = DEADLINE_S) -> RoundPlan:
        """For a photo that comes now."""
        return self.slo.plan(left_s)

    def plan_or_none(self) -> RoundPlan | None:
        """None when the deadline cannot be met."""
        try:
            return self.plan()
        except Unmeetable:
            return None

    def ask(self, bandwidth: float, *, slower: float = 1.0, queue: int = 0) -> bool:
        """One photo's first round, and a pause; whether it was answered in time."""
        plan, start_s = self.plan(), self.now
        work_s = slower * self.tables.server_ms.first[self.tables.first.index(plan.first)] / 1e3
        self.slo.sent(round(plan.first_bytes), start_s)
        reply_s = start_s + (plan.first_bytes + ROUND_BYTES) / bandwidth + ROUND_TRIP_S + work_s
        in_time = reply_s <= start_s + DEADLINE_S
        self.now = min(reply_s, start_s + DEADLINE_S)
        if in_time:
            self.slo.replied({"decode": 0.0, "queue": 0.0, "compute": work_s * 1e3}, queue, self.now)
        else:
            self.slo.lost(self.now)
        self.now = start_s + PERIOD_S
        return in_time

    def ask_often(self, bandwidth: float, times: int = 30) -> Client:
        """Many photos, the last of them in time."""
        assert [self.ask(bandwidth) for _ in range(times)][-1]
        return self


def needed_s(plan: RoundPlan, bandwidth: float) -> float:
    """Least seconds of the first round's transfer over such a link."""
    return (plan.first_bytes + ROUND_BYTES) / bandwidth


def test_a_faster_link_gives_better_plans(tables: RoundTables) -> None:
    """More accuracy without a wish for one, the same accuracy with fewer rounds or other bytes with one."""
    slow, fast = (Client(tables, 20 * MBIT).ask_often(mbit * MBIT).plan() for mbit in (0.5, 20))
    assert fast.accuracy > slow.accuracy + 0.05
    assert slow.first_s + slow.second_s <= DEADLINE_S >= fast.first_s + fast.second_s


def test_a_wanted_accuracy_is_reached_with_the_fewest_bytes(tables: RoundTables) -> None:
    """A comfortable deadline leaves room for fewer bytes than the best accuracy takes."""
    thrifty = Client(tables, 20 * MBIT, wanted=0.9).plan(0.5)
    best = Client(tables, 20 * MBIT).plan(0.5)
    assert 0.9 <= thrifty.accuracy < best.accuracy
    assert thrifty.expected_bytes < best.expected_bytes / 2
    assert thrifty.mode == "two-round"


def test_a_drop_is_noticed_after_one_photo(tables: RoundTables) -> None:
    """From 20 to 0.5 Mbit/s the next photo is sent in a third of the bytes, and from the third on all are in time."""
    client = Client(tables, 20 * MBIT).ask_often(20 * MBIT)
    before = client.plan().first_bytes
    assert not client.ask(0.5 * MBIT)
    assert client.plan().first_bytes < before / 3
    client.ask(0.5 * MBIT)
    assert all(client.ask(0.5 * MBIT) for _ in range(20))


def test_a_recovery_is_noticed_within_ten_photos(tables: RoundTables) -> None:
    """From 0.5 to 20 Mbit/s the accuracy comes back to within a point."""
    client = Client(tables, 20 * MBIT).ask_often(20 * MBIT)
    before = client.plan().accuracy
    client.ask_often(0.5 * MBIT)
    assert client.plan().accuracy < before - 0.05
    assert client.ask_often(20 * MBIT, 10).plan().accuracy > before - 0.01


def test_a_slow_server_is_learnt(tables: RoundTables) -> None:
    """One that takes twice as long as its tables leaves less time for the link."""
    client = Client(tables, 2 * MBIT).ask_often(2 * MBIT)
    usual = client.plan()
    for _ in range(20):
        client.ask(2 * MBIT, slower=1.6)
    assert client.plan().first_bytes < usual.first_bytes


def test_a_queue_at_the_server_counts_until_it_is_old(tables: RoundTables) -> None:
    """Who waits there is served first; what was said long ago says nothing."""
    client = Client(tables, 20 * MBIT).ask_often(20 * MBIT)
    usual = client.plan()
    client.ask(20 * MBIT, queue=1)
    queued = client.plan()
    assert queued.accuracy < usual.accuracy
    client.now += 10.0
    assert client.plan().accuracy > queued.accuracy


def test_lateness_of_any_kind_becomes_a_margin(tables: RoundTables) -> None:
    """A device that needs 20 ms before it sends gets plans that leave it that time."""
    client = Client(tables, 2 * MBIT).ask_often(2 * MBIT)
    prompt = client.plan()
    for _ in range(20):
        plan = client.plan()
        client.now += 0.02
        client.slo.sent(round(plan.first_bytes), client.now)
        client.now += needed_s(plan, 2 * MBIT) + ROUND_TRIP_S + 0.025
        client.slo.replied({"decode": 0.0, "queue": 0.0, "compute": 25.0}, 0, client.now)
    hesitant = client.plan()
    assert hesitant.first_bytes < prompt.first_bytes
    assert hesitant.first_s >= 0.02 + ROUND_TRIP_S + 0.02


def test_silence_makes_plans_more_careful(tables: RoundTables) -> None:
    """After an hour nobody knows how fast the link is."""
    client = Client(tables, 2 * MBIT).ask_often(2 * MBIT)
    before = client.plan()
    client.now += 3600.0
    assert client.plan().first_bytes < before.first_bytes


def test_a_loss_at_once_says_nothing_of_the_link(tables: RoundTables) -> None:
    """A refused connection leaves the plan as it was."""
    client = Client(tables, 20 * MBIT).ask_often(20 * MBIT)
    before = client.plan()
    client.slo.sent(5000, client.now)
    client.slo.lost(client.now + 0.001)
    assert client.plan() == before


def test_the_plan_does_not_flap(tables: RoundTables) -> None:
    """A bandwidth that moves by 5 % either way leaves the plan and its times alone."""
    client = Client(tables, 2 * MBIT).ask_often(2 * MBIT)
    plans = set()
    for number in range(20):
        client.ask((1.95 if number % 2 else 2.05) * MBIT)
        plans.add(replace(client.plan(), first_s=0.0, second_s=0.0))
    assert len(plans) == 1


def test_the_smallest_round_is_tried_where_no_careful_plan_fits(tables: RoundTables) -> None:
    """A best effort is one whose expected time still fits."""
    client = Client(tables, 0.3 * MBIT)
    plan = client.plan(0.061)
    assert (plan.mode, plan.first, plan.second) == ("best-effort", 20, 0)
    assert plan.first_s <= 0.061


def test_what_cannot_be_met_is_refused_at_once(tables: RoundTables) -> None:
    """One line says how much time is missing."""
    client = Client(tables, 20 * MBIT)
    with pytest.raises(Unmeetable, match="deadline: 12 ms left, the smallest first round needs 41 ms; allow more"):
        client.plan(0.012)


def test_a_dead_link_is_tried_again_after_a_while(tables: RoundTables) -> None:
    """After losses nothing fits; two seconds later the smallest round goes out, and a reply brings everything back."""
    client = Client(tables, 2 * MBIT).ask_often(2 * MBIT)
    while client.plan_or_none():
        assert not client.ask(1.0)
    client.now += 2.5
    assert (client.plan().mode, client.plan().first) == ("best-effort", 20)
    assert not client.ask(1.0)
    assert client.plan_or_none() is None
    client.now += 2.5
    assert client.ask(20 * MBIT)
    assert client.ask_often(20 * MBIT).plan().accuracy > 0.97


def test_a_second_round_fits_while_there_is_time(tables: RoundTables) -> None:
    """More patches need more time; what the plan foresaw is enough."""
    client = Client(tables, 2 * MBIT, wanted=0.9)
    plan = client.plan(0.2)
    assert plan.mode == "two-round"
    assert client.slo.second_fits(plan, plan.second, plan.second_s + 1e-9)
    assert not client.slo.second_fits(plan, 98, client.plan(0.2).second_s)
    assert not client.slo.second_fits(plan, 1, 0.01)


def test_everything_anew_takes_a_first_look(tables: RoundTables) -> None:
    """More patches than any second round has, for which the server needs as long as for a first one."""
    client = Client(tables, 2 * MBIT, wanted=0.9)
    plan = client.plan(0.2)
    count = plan.first + plan.second
    light_s = plan.second_s + 1e-9
    assert client.slo.second_fits(plan, plan.second, light_s)
    assert not client.slo.everything_fits(plan, count, light_s)
    assert client.slo.everything_fits(plan, count, plan.first_s + plan.second_s)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sent", "replied", "lost"]),
            st.floats(0.0, 3.0),
            st.floats(allow_nan=True),
            st.integers(0, 2**31),
        ),
        max_size=30,
    )
)
def test_no_history_breaks_it(tables: RoundTables, events: list[tuple[str, float, float, int]]) -> None:
    """Whatever a server claims and in whatever order things happen, plans stay finite and within the deadline."""
    client = Client(tables, 2 * MBIT)
    for event, pause_s, claimed_ms, number in events:
        client.now += pause_s
        if event == "sent":
            client.slo.sent(number % 10_000, client.now)
        elif event == "replied":
            client.slo.replied(dict.fromkeys(("decode", "queue", "compute"), claimed_ms), number, client.now)
        else:
            client.slo.lost(client.now)
        try:
            plan = client.plan(0.2)
        except Unmeetable:
            continue
        assert math.isfinite(plan.first_s + plan.second_s)
        assert plan.mode == "best-effort" or plan.first_s + plan.second_s <= 0.2 + 1e-9
    client.now += 10.0
    assert client.plan(1.0)
