"""The dispatcher under any order of events, and what it does with each kind of plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling.dispatch import MARGIN_S, PATIENCE, PROBE_EVERY_S, Dispatcher, Job, Late
from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.state import State
from edge_runtime.scheduling.tables import Tables

PLANS = [
    LOCAL,
    Plan("local", 4),
    Plan("remote", 4, "", "jpeg q75", in_flight=3),
    Plan("data-parallel", 4, "", "jpeg q75", local=1),
    Plan("split", 2, "late", "ff q70"),
    Plan("split-pipeline", 3, "early", "uniform 8 bit", in_flight=2),
    Plan("hybrid", 2, "late", "half", local=1, in_flight=2),
]
CAPACITY = 6
PROBE = Plan("split", 1, "late", "ff q10")


@dataclass(frozen=True)
class Frame:
    """A number and a deadline."""

    number: int
    deadline_s: float = math.inf


@dataclass
class Scripted:
    """A policy that does as it is told."""

    plan: Plan = LOCAL
    probe: Plan | None = None
    name: str = "scripted"

    def choose(self, state: State) -> Plan:
        """Whatever the state."""
        assert state.queue > 0
        return self.plan


@dataclass
class Driver:
    """What the executor and the simulator do, one event at a time."""

    dispatcher: Dispatcher[Frame]
    now: float = 0.0
    reachable: bool = True
    device: Job[Frame] | None = None
    crossing: list[Job[Frame]] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def offer(self, time_s: float = math.inf) -> None:
        """A frame with so much time comes."""
        frame = Frame(next(self.numbers), self.now + time_s)
        room = self.dispatcher.has_room
        assert self.dispatcher.offer(frame, self.now) == room
        if room:
            self.accepted.append(frame.number)

    def work(self) -> Job[Frame] | None:
        """The device starts what the dispatcher has for it."""
        for frame in self.dispatcher.late(self.now):
            self.gone.append(frame.number)
            assert frame.deadline_s <= self.now or self.dispatcher.queue, "gave way to none"
        if self.device is None:
            self.device = self.dispatcher.next_job(self.now, reachable=self.reachable)
            assert self.device is None or self.reachable or not self.device.sends
        return self.device

    def finish(self, taken_s: float = 0.01) -> None:
        """The device is done: the answers are there, or the request goes out."""
        job, self.device = self.device, None
        if job is None:
            return
        self.now += taken_s
        self.dispatcher.computed(job, taken_s)
        if job.sends:
            assert self.dispatcher.time_limit_s(job, self.now) > 0
            self.dispatcher.sent(job, 1000, self.now)
            self.crossing.append(job)
        else:
            self.gone += [frame.number for frame in job.frames]

    def reply(self, index: int = 0) -> None:
        """One of the requests under way is answered."""
        if self.crossing:
            job = self.crossing.pop(index % len(self.crossing))
            self.dispatcher.replied(job, 0.005, self.now)
            self.gone += [frame.number for frame in job.frames]

    def lose(self, index: int = 0) -> None:
        """One of them is lost."""
        if self.crossing:
            self.dispatcher.lost(self.crossing.pop(index % len(self.crossing)))

    def drain(self) -> None:
        """Until nothing is left; a dispatcher that starves its frames runs out of turns."""
        for _ in range(1000):
            self.work()
            self.finish()
            self.reply()
            if not (self.dispatcher.queue or self.crossing or self.device):
                return
        raise AssertionError("frames were left")


def driver(tables: Tables, plan: Plan = LOCAL, *, late: Late = "drop", probe: Plan | None = None) -> Driver:
    """A dispatcher with a scripted policy over a link of 8 Mbit/s."""
    link = LinkEstimate(1e6, 0.02)
    return Driver(Dispatcher(Scripted(plan, probe), tables, link, capacity=CAPACITY, late=late))


def policy(run: Driver) -> Scripted:
    """The policy that a driver's dispatcher asks."""
    assert isinstance(run.dispatcher.policy, Scripted)
    return run.dispatcher.policy


EVENTS = st.one_of(
    st.tuples(st.just("offer"), st.floats(0, 1) | st.just(math.inf)),
    st.tuples(st.just("plan"), st.sampled_from(PLANS)),
    st.tuples(st.sampled_from(["work", "link"]), st.none()),
    st.tuples(st.sampled_from(["finish", "wait"]), st.floats(0, 1)),
    st.tuples(st.sampled_from(["reply", "lose"]), st.integers(0, 9)),
)


@settings(max_examples=300)
@given(st.lists(EVENTS, max_size=80), st.sampled_from(["drop", "local"]), st.sampled_from([None, PROBE]))
def test_every_frame_leaves_exactly_once_whatever_happens(
    tables: Tables, events: list[tuple[str, object]], late: Late, probe: Plan | None
) -> None:
    """Losses, refusals, deadlines, plans that change in between: nothing is lost, doubled, or held without bound."""
    run = driver(tables, late=late, probe=probe)
    most_under_way = max(plan.batch * plan.in_flight for plan in PLANS) + max(plan.batch for plan in PLANS)
    for event, value in events:
        if event == "plan":
            assert isinstance(value, Plan)
            policy(run).plan = value
        elif event == "link":
            run.reachable = not run.reachable
        elif event == "wait":
            run.now += float(str(value))
        else:
            getattr(run, event)(*([] if value is None else [value]))
        held = len(run.accepted) - len(run.gone)
        assert run.dispatcher.queue <= held <= CAPACITY + most_under_way
        assert run.dispatcher.requests_under_way == len(run.crossing)
    run.drain()
    assert sorted(run.gone) == run.accepted


def test_a_full_queue_takes_no_more(tables: Tables) -> None:
    """What is refused is not held."""
    run = driver(tables)
    for _ in range(CAPACITY + 3):
        run.offer()
    assert run.dispatcher.queue == CAPACITY
    assert not run.dispatcher.has_room


def test_a_queue_of_no_frames_is_refused(tables: Tables) -> None:
    """Nothing could ever be answered."""
    with pytest.raises(ArgumentError, match="capacity: 0"):
        Dispatcher(Scripted(), tables, LinkEstimate(1e6, 0.02), capacity=0)


def test_data_parallel_computes_its_share_beside_the_request(tables: Tables) -> None:
    """Of four frames three are sent and one computed here; nothing more until the reply."""
    run = driver(tables, Plan("data-parallel", 4, "", "jpeg q75", local=1))
    for _ in range(6):
        run.offer()
    sent = run.work()
    assert sent is not None
    assert (sent.sends, [frame.number for frame in sent.frames]) == (True, [0, 1, 2])
    run.finish()
    beside = run.work()
    assert beside is not None
    assert (beside.sends, [frame.number for frame in beside.frames]) == (False, [3])
    run.finish()
    assert run.work() is None
    run.reply()
    assert run.work() is not None


def test_a_pipeline_waits_when_its_requests_are_under_way(tables: Tables) -> None:
    """Two may be; the third waits for a reply."""
    run = driver(tables, Plan("split-pipeline", 2, "late", "ff q40", in_flight=2))
    for _ in range(6):
        run.offer()
    for _ in range(2):
        job = run.work()
        assert job is not None
        assert job.sends
        run.finish()
    assert run.work() is None
    run.reply()
    assert run.work() is not None


def test_a_hybrid_fills_what_would_be_idle(tables: Tables) -> None:
    """When no further request may start it computes frames here, and sends again after a reply."""
    run = driver(tables, Plan("hybrid", 2, "late", "ff q40", local=1, in_flight=1))
    for _ in range(6):
        run.offer()
    kinds = []
    for _ in range(3):
        job = run.work()
        assert job is not None
        kinds.append((job.sends, len(job.frames)))
        run.finish()
    run.reply()
    job = run.work()
    assert job is not None
    assert [*kinds, (job.sends, len(job.frames))] == [(True, 2), (False, 1), (False, 1), (True, 2)]


def test_frames_of_lost_requests_are_computed_first_and_here(tables: Tables) -> None:
    """They have waited longest; the link is not to be trusted with them again."""
    run = driver(tables, Plan("split", 2, "late", "ff q40"))
    for _ in range(4):
        run.offer()
    run.work()
    run.finish()
    run.lose()
    order = []
    for _ in range(3):
        job = run.work()
        assert job is not None
        order.append((job.sends, [frame.number for frame in job.frames]))
        run.finish()
    assert order == [(False, [0]), (False, [1]), (True, [2, 3])]


def test_without_a_link_no_policy_can_send(tables: Tables) -> None:
    """Even one that says so."""
    run = driver(tables, Plan("remote", 4, "", "jpeg q75"))
    run.reachable = False
    run.offer()
    job = run.work()
    assert job is not None
    assert not job.sends


def test_late_frames_are_dropped_or_computed_here_as_told(tables: Tables) -> None:
    """A frame past its deadline is given back, or answered all the same."""
    for late, gone in (("drop", [0]), ("local", [])):
        run = driver(tables, Plan("split", 2, "late", "ff q40"), late=late)  # type: ignore[arg-type]
        run.offer(0.1)
        run.offer(10.0)
        run.now = 0.5
        job = run.work()
        assert job is not None
        assert run.gone == gone
        assert (job.sends, job.frames[0].number) == ((True, 1) if gone else (False, 0))


def test_a_frame_that_would_be_late_gives_way_only_to_one_that_would_not(tables: Tables) -> None:
    """After runs of 0.2 s a frame with 0.1 s left is dropped for one with a second, and tried when it is alone."""
    for younger, gone in ((True, [4]), (False, [])):
        run = driver(tables)
        for _ in range(4):
            run.offer()
            run.work()
            run.finish(taken_s=0.2)
        del run.gone[:]
        run.offer(0.1)
        if younger:
            run.offer(1.0)
        job = run.work()
        assert job is not None
        assert run.gone == gone
        assert job.frames[0].number == 4 + younger


def test_a_reply_is_awaited_until_the_frames_must_be_computed_here(tables: Tables) -> None:
    """But never for less than twice what it is foreseen to take."""
    limits = []
    for time_s in (math.inf, 1.0, 0.03):
        run = driver(tables, Plan("split", 4, "late", "ff q40"))
        run.offer(time_s)
        job = run.work()
        assert job is not None
        limits.append(run.dispatcher.time_limit_s(job, run.now))
    foreseen_s = 1400 / 1e6 + 0.02 + 0.0015 + 2e-4 + 5e-4
    assert limits == pytest.approx([math.inf, 1.0 - MARGIN_S - 0.005, PATIENCE * foreseen_s])


def test_a_silent_link_is_probed_with_one_frame_at_a_time(tables: Tables) -> None:
    """After two seconds without a request, not before the probe is answered, and then after two more."""
    run = driver(tables, probe=PROBE)
    probes = []
    for step in range(50):
        run.now = step * 0.2
        run.offer()
        job = run.work()
        assert job is not None
        if job.sends:
            assert len(job.frames) == 1
            assert not run.crossing
            probes.append(run.now)
        run.finish(taken_s=0.0)
        if run.now > 6:
            run.reply()
    assert probes[0] == pytest.approx(PROBE_EVERY_S)
    assert probes[1] > 6
    assert all(later - earlier >= PROBE_EVERY_S - 1e-9 for earlier, later in pairwise(probes))


def test_a_link_that_nothing_has_crossed_gets_one_frame_first(tables: Tables) -> None:
    """What is believed of it is hearsay: the plan's requests begin once the probe was answered."""
    plan = Plan("remote", 4, "", "jpeg q75", in_flight=3)
    dispatcher: Dispatcher[Frame] = Dispatcher(Scripted(plan, PROBE), tables, LinkEstimate(1e9, 0.02))
    driver = Driver(dispatcher)
    for _ in range(20):
        driver.offer()
    job = driver.work()
    assert job is not None
    assert (job.plan, len(job.frames)) == (PROBE, 1)
    driver.finish()
    assert driver.work() is None
    driver.reply()
    job = driver.work()
    assert job is not None
    assert (job.plan, len(job.frames)) == (plan, 4)


def test_an_unreachable_link_is_not_probed(tables: Tables) -> None:
    """That is the breaker's business."""
    run = driver(tables, probe=PROBE)
    run.now, run.reachable = 100.0, False
    run.offer()
    job = run.work()
    assert job is not None
    assert not job.sends


def test_the_device_s_and_the_server_s_factor_are_learnt(tables: Tables) -> None:
    """A device that takes thrice, a server that takes twice as long as the tables have it."""
    run = driver(tables, Plan("split", 1, "late", "ff q40"))
    site = tables.site("late")
    for _ in range(30):
        run.offer()
        job = run.work()
        assert job is not None
        run.finish(taken_s=3 * (site.device_s[1] + 2e-4 + tables.request_s))
        run.now += 0.5
        run.crossing.remove(job)
        run.dispatcher.replied(job, 2 * (site.server_s[1] + 2e-4), run.now)
    state = run.dispatcher.state(run.now)
    assert state.device_factor == pytest.approx(3, rel=0.02)
    assert state.server_factor == pytest.approx(2, rel=0.02)


def test_replies_out_of_order_teach_no_negative_times(tables: Tables) -> None:
    """The later request's reply overtakes the earlier one's, again and again."""
    run = driver(tables, Plan("remote", 1, "", "jpeg q75", in_flight=2))
    for _ in range(20):
        for _ in range(2):
            run.offer()
            run.work()
            run.finish(taken_s=0.001)
        run.now += 0.05
        run.reply(1)
        run.reply(0)
    assert run.dispatcher.state(run.now).server_factor >= 0
