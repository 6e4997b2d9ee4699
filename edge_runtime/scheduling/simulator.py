"""The scheduler in virtual time: its real core, driven by events whose times come from tables and traces.

One device, one link each way, one server; each does one thing at a time. The server joins requests that wait for the
same model as the reference server does. Nothing here decides anything: that is the dispatcher's and its policy's part.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.scheduling.dispatch import Dispatcher
from edge_runtime.scheduling.forecast import device_seconds, level_of
from edge_runtime.scheduling.tables import seconds
from edge_runtime.scheduling.timeline import Outcome, Timeline
from edge_runtime.scheduling.traces import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_runtime.scheduling.dispatch import Job, Late
    from edge_runtime.scheduling.state import Policy
    from edge_runtime.scheduling.tables import Tables
    from edge_runtime.scheduling.timeline import Fate

# A lost link is tried again after so long, as the client's breaker does at first.
RETRY_S = 0.25
# The reference server joins waiting requests up to so many frames.
JOINED_FRAMES = 8

STEADY = Trace.constant(1.0)


class SimulatedFrame(NamedTuple):
    """A frame without a picture."""

    id: int
    arrived_s: float
    deadline_s: float


@dataclass(frozen=True)
class World:
    """What is really so, whatever the scheduler believes.

    ``tables`` are the true ones, ``bandwidth`` is in bytes a second, ``device`` and ``server`` are factors on their
    times, ``noise`` the standard deviation of each time's logarithm. In ``outages`` (from, to) no server is there.
    """

    tables: Tables
    bandwidth: Trace
    round_trip_s: float
    device: Trace = STEADY
    server: Trace = STEADY
    noise: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    joined_frames: int = JOINED_FRAMES

    def up(self, now: float) -> bool:
        """Whether the server is there."""
        return not any(start <= now < end for start, end in self.outages)


@dataclass(frozen=True)
class Load:
    """The frames: ``times`` of arrival in seconds, or None for a queue that never empties, over ``duration_s``."""

    times: Iterable[float] | None
    duration_s: float
    deadline_s: float = math.inf


@dataclass
class Settings:
    """How the scheduler is set up: see `dispatch.Dispatcher`. ``bandwidth`` is what it believes at first."""

    capacity: int = 64
    late: Late = "drop"
    corrects: bool = True
    bandwidth: float | None = None


class _Request(NamedTuple):
    job: Job[SimulatedFrame]
    arrived_s: float


def simulate(
    world: World,
    policy: Policy,
    load: Load,
    tables: Tables | None = None,
    settings: Settings | None = None,
    seed: int = 0,
) -> Timeline:
    """Run ``policy``, which believes ``tables`` (the true ones if not given), until ``load`` is over.

    Frames that are under way at the end have no outcome, but where the load ends by itself all are worked off.
    """
    return Simulation(world, policy, load, tables, settings, seed).run()


class Simulation:
    """One run; `run` does all of it, `advance` a part, for those who change the policy meanwhile."""

    def __init__(
        self,
        world: World,
        policy: Policy,
        load: Load,
        tables: Tables | None = None,
        settings: Settings | None = None,
        seed: int = 0,
    ) -> None:
        settings = settings or Settings()
        self.world, self.load, self.timeline, self.now = world, load, Timeline(), 0.0
        link = LinkEstimate(settings.bandwidth or world.bandwidth.at(0.0), world.round_trip_s)
        self.dispatcher: Dispatcher[SimulatedFrame] = Dispatcher(
            policy,
            tables or world.tables,
            link,
            capacity=settings.capacity,
            deadline_s=load.deadline_s,
            late=settings.late,
            corrects=settings.corrects,
        )
        self._rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._ids = itertools.count()
        self._device_busy = False
        self._link_free_s = self._down_free_s = 0.0
        self._server = _Server(self)
        self._closed_until_s = 0.0
        self._under_way: dict[int, Job[SimulatedFrame]] = {}
        self._lost_frames: set[int] = set()
        self._arrivals = iter(() if load.times is None else load.times)
        self._next_arrival()
        for start, end in world.outages:
            self.at(start, self._outage)
            self.at(end, self._wake)
        self._wake()

    def run(self) -> Timeline:
        """All of it."""
        return self.advance(self.load.duration_s)

    def advance(self, until_s: float) -> Timeline:
        """Everything that happens until then."""
        while self._events and self._events[0][0] <= until_s:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = self.timeline.duration_s = until_s
        return self.timeline

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Let ``event`` happen at ``time``; at the same time, in the order of asking."""
        heapq.heappush(self._events, (time, next(self._order), event))

    def noisy(self, taken_s: float) -> float:
        """A time as it really comes out."""
        noise = self.world.noise
        return taken_s * math.exp(self._rng.gauss(-noise * noise / 2, noise)) if noise else taken_s

    @property
    def reachable(self) -> bool:
        """Whether a request would be tried."""
        return self.now >= self._closed_until_s

    def _next_arrival(self) -> None:
        time = next(self._arrivals, math.inf)
        if time < self.load.duration_s:
            self.at(time, self._arrive)

    def _arrive(self) -> None:
        if not self._offer():
            self.timeline.outcomes.append(Outcome(next(self._ids), self.now, self.now, math.inf, "refused"))
        self._next_arrival()
        self._wake()

    def _offer(self) -> bool:
        if self.dispatcher.has_room:
            frame = SimulatedFrame(next(self._ids), self.now, self.now + self.load.deadline_s)
            return self.dispatcher.offer(frame, self.now)
        return self.dispatcher.offer(SimulatedFrame(-1, self.now, self.now), self.now)

    def _wake(self) -> None:
        """Whatever happened, the device may have something to do now."""
        while self.load.times is None and self.dispatcher.has_room:
            self._offer()
        for frame in self.dispatcher.late(self.now):
            self._close(frame, "dropped")
        if self._device_busy:
            return
        job = self.dispatcher.next_job(self.now, reachable=self.reachable)
        self.timeline.note_plan(self.now, self.dispatcher.plan.name)
        if job is None:
            return
        self._device_busy = True
        taken_s = self.noisy(self._device_s(job) * self.world.device.at(self.now))
        self.timeline.span("device", self.now, self.now + taken_s, job)
        self.at(self.now + taken_s, lambda: self._computed(job, taken_s))

    def _device_s(self, job: Job[SimulatedFrame]) -> float:
        tables, count = self.world.tables, len(job.frames)
        return device_seconds(tables, job.request) if job.sends else seconds(tables.local_s, count)

    def _computed(self, job: Job[SimulatedFrame], taken_s: float) -> None:
        self._device_busy = False
        self.dispatcher.computed(job, taken_s)
        if job.sends:
            self._send(job)
        else:
            for frame in job.frames:
                self._close(frame, "fallback" if frame.id in self._lost_frames else "device", job)
        self._wake()

    def _send(self, job: Job[SimulatedFrame]) -> None:
        level = level_of(self.world.tables, job.plan)
        assert level is not None  # noqa: S101 - it sends
        size = int(len(job.frames) * self.noisy(level.payload_bytes) + self.world.tables.request_bytes)
        limit_s = self.dispatcher.time_limit_s(job, self.now)
        self.dispatcher.sent(job, size, self.now)
        self._under_way[job.number] = job
        self.timeline.sent_bytes += size
        start_s = max(self.now, self._link_free_s)
        self._link_free_s = self.world.bandwidth.finish(start_s, size)
        self.timeline.span("link", start_s, self._link_free_s, job)
        if not self.world.up(self.now):
            self.at(self.now + self.world.round_trip_s, lambda: self._lose(job))
            return
        self.at(self._link_free_s + self.world.round_trip_s / 2, lambda: self._server.arrive(job))
        if limit_s < math.inf:
            self.at(self.now + max(limit_s, 0.0), lambda: self._lose(job))

    def reply(self, job: Job[SimulatedFrame], arrived_s: float) -> None:
        """The server is done with a job's request that reached it at ``arrived_s``."""
        server_s = self.now - arrived_s
        start_s = max(self.now, self._down_free_s)
        self._down_free_s = self.world.bandwidth.finish(start_s, self.world.tables.reply_bytes)
        self.at(self._down_free_s + self.world.round_trip_s / 2, lambda: self._replied(job, server_s))

    def _replied(self, job: Job[SimulatedFrame], server_s: float) -> None:
        if self._under_way.pop(job.number, None) is None:
            return  # given up meanwhile
        self.dispatcher.replied(job, server_s, self.now)
        for frame in job.frames:
            self._close(frame, "server", job)
        self._wake()

    def _lose(self, job: Job[SimulatedFrame]) -> None:
        if self._under_way.pop(job.number, None) is None:
            return
        self.dispatcher.lost(job)
        self._lost_frames.update(frame.id for frame in job.frames)
        self._close_link()
        self._wake()

    def _close_link(self) -> None:
        if self.now < self._closed_until_s:
            return
        back_s = self.now + RETRY_S
        while not self.world.up(back_s):
            back_s += RETRY_S
        self._closed_until_s = back_s
        self.at(back_s, self._wake)

    def _outage(self) -> None:
        self._server.forget()
        for job in list(self._under_way.values()):
            self._lose(job)

    def _close(self, frame: SimulatedFrame, fate: Fate, job: Job[SimulatedFrame] | None = None) -> None:
        self._lost_frames.discard(frame.id)
        plan = job.plan.name if job else ""
        self.timeline.outcomes.append(Outcome(frame.id, frame.arrived_s, self.now, frame.deadline_s, fate, plan))


@dataclass
class _Server:
    """The server's line: requests wait, those for the same model share a run."""

    simulation: Simulation
    waiting: deque[_Request] = field(default_factory=deque)
    generation: int = 0
    busy: bool = False

    def arrive(self, job: Job[SimulatedFrame]) -> None:
        if self.simulation.world.up(self.simulation.now):
            self.waiting.append(_Request(job, self.simulation.now))
            self._run()

    def forget(self) -> None:
        """It died: nothing that it had is answered."""
        self.waiting.clear()
        self.busy = False
        self.generation += 1

    def _run(self) -> None:
        if self.busy or not self.waiting:
            return
        simulation, world = self.simulation, self.simulation.world
        run = self._take()
        site = world.tables.site(run[0].job.plan.cut)
        frames = [len(request.job.frames) for request in run]
        taken_s = seconds(site.server_s, sum(frames)) + len(run) * world.tables.serving_s
        taken_s += sum(count * site.level(one.job.plan.level).decode_s for count, one in zip(frames, run, strict=True))
        taken_s = simulation.noisy(taken_s * world.server.at(simulation.now))
        self.busy = True
        for request in run:
            simulation.timeline.span("server", simulation.now, simulation.now + taken_s, request.job)
        generation = self.generation
        simulation.at(simulation.now + taken_s, lambda: self._done(run, generation))

    def _take(self) -> list[_Request]:
        """The oldest request, and those behind it for the same model, as long as a larger run has room and pays."""
        run = [self.waiting.popleft()]
        times = self.simulation.world.tables.site(run[0].job.plan.cut).server_s
        frames = len(run[0].job.frames)
        while self.waiting and self.waiting[0].job.plan.cut == run[0].job.plan.cut:
            more = len(self.waiting[0].job.frames)
            if frames + more > self.simulation.world.joined_frames:
                break
            if seconds(times, frames + more) > seconds(times, frames) + seconds(times, more):
                break
            frames += more
            run.append(self.waiting.popleft())
        return run

    def _done(self, run: list[_Request], generation: int) -> None:
        if generation != self.generation:
            return
        self.busy = False
        for request in run:
            self.simulation.reply(request.job, request.arrived_s)
        self._run()
