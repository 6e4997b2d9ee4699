"""The scheduler's core: which frames the device works on next, and how. It knows no thread, no socket and no clock.

The executor drives it in real time, the simulator in virtual time; both report what happened and ask for the next job.
Every frame that was taken in leaves exactly once: in a finished job, or as a late one.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling.forecast import device_seconds, request_bytes, server_seconds
from edge_runtime.scheduling.plans import LOCAL, Mode, Plan
from edge_runtime.scheduling.state import ArrivalRate, Factor, State, Usual
from edge_runtime.scheduling.tables import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_runtime.control.link_estimate import LinkEstimate
    from edge_runtime.scheduling.state import Policy
    from edge_runtime.scheduling.tables import Tables

Late = Literal["drop", "local"]

# A link that no request has crossed for so long is asked again, with one frame.
PROBE_EVERY_S = 2.0
# Kept back from a request's time limit for the answer's way out of the executor.
MARGIN_S = 0.01
# A reply that takes so many times as long as foreseen is not awaited at the cost of computing its frames here.
PATIENCE = 2.0


class HasDeadline(Protocol):
    """What a frame must tell: by when, on the driver's clock, it needs its answer."""

    @property
    def deadline_s(self) -> float:
        """Infinity for no deadline."""


F = TypeVar("F", bound=HasDeadline)


@dataclass(frozen=True, slots=True)
class Job(Generic[F]):
    """Work for the device: ``frames`` to be computed here, or (``sends``) to be made into one request of ``plan``."""

    number: int
    plan: Plan
    frames: tuple[F, ...]
    sends: bool
    started_s: float

    @property
    def request(self) -> Plan:
        """The plan as if its batch were the frames that this job has, for what its request costs."""
        mode: Mode = "split" if self.plan.cut else "remote"
        return Plan(mode, len(self.frames), self.plan.cut, self.plan.level)


class Dispatcher(Generic[F]):
    """Holds the queue and what is under way, asks the policy, and learns from what it is told.

    ``capacity`` frames may wait; with those in jobs that bounds what is held. ``deadline_s`` is what a fresh frame has.
    ``late`` frames, which cannot make their deadline any more, are dropped, or computed here after all. Without
    ``corrects`` the tables are believed as they are. Times are seconds on the driver's clock.
    """

    def __init__(
        self,
        policy: Policy,
        tables: Tables,
        link: LinkEstimate,
        *,
        capacity: int = 64,
        deadline_s: float = math.inf,
        late: Late = "drop",
        corrects: bool = True,
    ) -> None:
        if capacity < 1:
            raise ArgumentError(f"capacity: {capacity} frames cannot queue; give 1 or more")
        self.policy = policy
        self.plan: Plan = LOCAL
        self.tables = tables
        self.link = link
        self.capacity = capacity
        self._deadline_s = deadline_s
        self._late = late
        self._corrects = corrects
        self._device, self._server = Factor(), Factor()
        self._arrivals = ArrivalRate()
        self._waiting: deque[F] = deque()
        self._returned: deque[F] = deque()
        self._under_way: dict[int, Job[F]] = {}
        self._beside = 0
        self._number = 0
        self._server_free_s = -math.inf
        self._probed_s = -math.inf
        # From the start of a request, or of a run here, to its answers.
        self._request_s, self._run_s = Usual(), Usual()

    @property
    def queue(self) -> int:
        """Frames that wait, those of lost requests included."""
        return len(self._waiting) + len(self._returned)

    @property
    def requests_under_way(self) -> int:
        """Requests that were sent and neither answered nor lost."""
        return len(self._under_way)

    @property
    def has_room(self) -> bool:
        """Whether another frame may be offered."""
        return len(self._waiting) < self.capacity

    def offer(self, frame: F, now: float) -> bool:
        """Take a frame in; False, and nothing taken, when the queue is full."""
        self._arrivals.arrived(now)
        if self.has_room:
            self._waiting.append(frame)
            return True
        return False

    def state(self, now: float, *, reachable: bool = True) -> State:
        """What the policy gets to see."""
        return State(
            queue=self.queue,
            arrival_rate=self._arrivals.at(now),
            deadline_s=self._deadline_s,
            link=self.link.view(now, reachable=reachable),
            device_factor=self._device.value if self._corrects else 1.0,
            server_factor=self._server.value if self._corrects else 1.0,
            plan=self.plan,
        )

    def late(self, now: float) -> list[F]:
        """Remove and return the frames that are to be dropped: past their deadline, or giving way.

        A frame that would miss its deadline, if its job took as long as the last ones did at most, gives way to younger
        ones that would not; when there are none it is tried all the same.
        """
        if self._late == "local":
            return []
        job_s = (self._request_s if self.plan.sends else self._run_s).value
        if not (self._waiting and self._waiting[-1].deadline_s > now + job_s):
            return [*_overdue(self._returned, now), *_overdue(self._waiting, now)]
        return [*_overdue(self._returned, now + self._alone_s(1)), *_overdue(self._waiting, now + job_s)]

    def next_job(self, now: float, *, reachable: bool = True) -> Job[F] | None:
        """What the device does now; None when there is nothing, or a reply must come first."""
        if self._returned:
            return self._job(LOCAL, 1, now, sends=False, source=self._returned)
        if not self._waiting:
            return None
        if self._late == "local" and self._waiting[0].deadline_s <= now:
            return self._job(LOCAL, 1, now, sends=False)
        if self._beside:
            frames, self._beside = self._beside, 0
            return self._job(self.plan, frames, now, sends=False)
        plan = self._choose(now, reachable)
        if not plan.sends:
            return self._job(plan, plan.batch, now, sends=False)
        if len(self._under_way) < plan.in_flight:
            return self._start_request(plan, now)
        return self._job(plan, plan.local, now, sends=False) if plan.mode == "hybrid" else None

    def computed(self, job: Job[F], taken_s: float) -> None:
        """The device did its part of a job in ``taken_s``: the whole of a local one, up to sending for a request."""
        self._device.observe(taken_s, self._foreseen_s(job))
        if not job.sends:
            self._run_s.observe(taken_s)

    def sent(self, job: Job[F], size: int, now: float) -> None:
        """The request of a job, of ``size`` bytes on the wire, went out."""
        foreseen_s = self._server.value * server_seconds(self.tables, job.request)
        self._under_way[job.number] = job
        self.link.sent(job.number, size, foreseen_s, now)

    def replied(self, job: Job[F], server_s: float, now: float) -> None:
        """The reply to a job's request came; the server had it for ``server_s``."""
        del self._under_way[job.number]
        self._request_s.observe(now - job.started_s)
        self.link.replied(job.number, server_s, now)
        # The server, too, does one thing at a time: its share lasts from the arrival, or the end of the one before.
        done_s = now - self.link.round_trip_s / 2
        taken_s = max(done_s - max(done_s - server_s, self._server_free_s), 0.0)
        self._server_free_s = max(self._server_free_s, done_s)
        self._server.observe(taken_s, server_seconds(self.tables, job.request) - self.tables.serving_s)

    def lost(self, job: Job[F]) -> None:
        """A job's request will not be answered, or was not sent: its frames are computed here, before all others."""
        self._under_way.pop(job.number, None)
        self.link.lost(job.number)
        self._returned.extend(job.frames)

    def time_limit_s(self, job: Job[F], now: float) -> float:
        """How long a reply is worth waiting for.

        Until there is only the time left to compute the frames here, but no shorter than a reply takes: to give up a
        request that is about to be answered helps no frame, and under a heavy load that is all that would happen.
        """
        spare_s = min(frame.deadline_s for frame in job.frames) - now - MARGIN_S - self._alone_s(len(job.frames))
        return max(spare_s, PATIENCE * self._reply_s(job, now))

    def _alone_s(self, frames: int) -> float:
        """Seconds to compute so many frames here, one by one."""
        return self._device.value * frames * seconds(self.tables.local_s, 1)

    def _reply_s(self, job: Job[F], now: float) -> float:
        """Seconds to the reply of a job that is being sent, if all that is under way comes first."""
        link = self.link.view(now)
        requests = [one.request for one in (*self._under_way.values(), job)]
        crossing_s = sum(request_bytes(self.tables, request) for request in requests) / link.bandwidth
        computing_s = self._server.value * sum(server_seconds(self.tables, request) for request in requests)
        return crossing_s + link.round_trip_s + computing_s

    def _choose(self, now: float, reachable: bool) -> Plan:
        state = self.state(now, reachable=reachable)
        self.plan = self.policy.choose(state)
        if self.plan.sends and not reachable:
            self.plan = LOCAL
        if self.plan.sends:
            # A wrong first guess could put minutes' worth of bytes on a slow link: one frame finds out.
            return self.plan if self.link.tested else self.policy.probe or self.plan
        return self._probe(now, state.link.age_s) if reachable else self.plan

    def _probe(self, now: float, silent_s: float) -> Plan:
        """The policy's probe when one is due, else the plan in force."""
        if self.policy.probe is None or self._under_way or min(silent_s, now - self._probed_s) < PROBE_EVERY_S:
            return self.plan
        self._probed_s = now
        return self.policy.probe

    def _start_request(self, plan: Plan, now: float) -> Job[F]:
        if plan.mode == "data-parallel":
            share = min(plan.batch, len(self._waiting)) - plan.local
            if share < 1:
                return self._job(plan, plan.local, now, sends=False)
            self._beside = plan.local
            return self._job(plan, share, now, sends=True)
        return self._job(plan, plan.batch, now, sends=True)

    def _job(self, plan: Plan, most: int, now: float, *, sends: bool, source: deque[F] | None = None) -> Job[F]:
        frames = self._waiting if source is None else source
        taken = tuple(frames.popleft() for _ in range(min(most, len(frames))))
        self._number += 1
        return Job(self._number, plan, taken, sends, now)

    def _foreseen_s(self, job: Job[F]) -> float:
        if not job.sends:
            return seconds(self.tables.local_s, len(job.frames))
        return device_seconds(self.tables, job.request)


def _overdue(frames: deque[F], done_s: float) -> Iterator[F]:
    """Remove and give the oldest frames, as far as they must be answered before ``done_s``."""
    while frames and frames[0].deadline_s <= done_s:
        yield frames.popleft()
