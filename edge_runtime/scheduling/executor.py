"""The scheduler in real time: one thread computes, requests cross the link meanwhile, answers come as they are ready.

Every job is a system's generator over a list of frames: the device advances it to its request, and whoever brings the
reply advances it to its answers. While one is on the wire the device works on the next: that is all there is to
pipelining.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_runtime.errors import ArgumentError, EdgeRuntimeError, LinkError, ServerRefused
from edge_runtime.scheduling.forecast import level_of
from edge_runtime.scheduling.timeline import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from edge_runtime.messages import Answer, Frame, Reply, Request
    from edge_runtime.scheduling.dispatch import Dispatcher, Job
    from edge_runtime.scheduling.tables import LevelCodec
    from edge_runtime.scheduling.timeline import Fate, Lane, Timeline
    from edge_runtime.systems import BatchInference, BatchSystem

# Without a deadline a silent server is waited for so long.
PATIENCE_S = 10.0
# A server that refuses what it is sent is left alone for so long.
REFUSED_S = 5.0
# How often frames that wait are looked at for their deadlines.
LOOK_S = 0.05


class Link(Protocol):
    """What carries requests; `transport.Client` is one."""

    @property
    def reachable(self) -> bool:
        """Whether a request would be tried now."""

    def start(self, request: Request, timeout_s: float, done: Callable[[Reply | LinkError], None]) -> None:
        """Send without waiting; ``done`` gets the reply, or what went wrong, once, from any thread."""


class Systems(Protocol):
    """The systems behind the plans; `scheduling.device.Device` is one."""

    def local(self) -> BatchSystem:
        """Computes whole frames here."""

    def sending(self, cut: str, codec: LevelCodec, quality: int) -> BatchSystem:
        """Makes requests of photos (no ``cut``) or of a cut's maps, packed that finely."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a frame: its answer, or None when it was dropped for its deadline's sake."""

    frame: Frame
    answer: Answer | None
    outcome: Outcome


class Queued:
    """A frame in the executor: what its dispatcher handles. Its place in the order of coming, and when it came."""

    __slots__ = ("arrived_s", "deadline_s", "frame", "place")

    def __init__(self, frame: Frame, place: int, arrived_s: float) -> None:
        self.frame, self.place, self.arrived_s = frame, place, arrived_s
        self.deadline_s = frame.deadline_s


class Executor:
    """Answers the frames that are submitted, as its dispatcher's policy has it; a context manager.

    Frames go in by `submit`, which waits while the queue is full, and come out of `results`, in the order of coming
    if ``ordered``, else as they are ready. One thread may submit while another reads; what is not read holds
    up what is submitted, so nothing grows without bound but a ``timeline``, where one is given to be kept. ``repeat``
    lets the device do all its work so many times, as one that is so much slower would. Deadlines are on the clock of
    ``time.monotonic``; `trouble` is the last thing that went wrong with the link, empty while nothing has.
    """

    def __init__(
        self,
        dispatcher: Dispatcher[Queued],
        systems: Systems,
        link: Link,
        *,
        ordered: bool = False,
        repeat: int = 1,
        timeline: Timeline | None = None,
    ) -> None:
        if repeat < 1:
            raise ArgumentError(f"repeat: {repeat} is less than 1")
        self.trouble = ""
        self._timeline = timeline
        self._dispatcher, self._systems, self._link, self._repeat = dispatcher, systems, link, repeat
        self._out: _Out = _Ordered() if ordered else _AsReady()
        self._place = 0
        self._changed = threading.Condition()
        self._closing = False
        self._error: BaseException | None = None
        # Frames that were taken and whose results were not read yet.
        self._held = 0
        self._refused_until_s = -math.inf
        self._lost_places: set[int] = set()
        self._link_free_s = -math.inf
        self._started_s = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="device", daemon=True)
        self._thread.start()

    def submit(self, frame: Frame, timeout_s: float = math.inf) -> bool:
        """Queue a frame, waiting up to ``timeout_s`` seconds for room; False when there was none.

        Raises what the device's models raised, and ArgumentError after `close`.
        """
        with self._changed:
            self._changed.wait_for(self._may_submit, min(timeout_s, threading.TIMEOUT_MAX))
            self._raise_error()
            if self._closing:
                raise ArgumentError(f"frame {frame.id}: the executor is closed")
            now = time.monotonic()
            if not (self._has_room and self._dispatcher.offer(Queued(frame, self._place, now), now)):
                return False
            self._place += 1
            self._held += 1
            self._changed.notify_all()
            return True

    def results(self) -> Iterator[Result]:
        """Every frame's result; ends once the executor is closed and all is answered. Raises as `submit` does."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._out.ready or self._error or self._is_over)
                self._raise_error()
                if not self._out.ready:
                    return
                result = self._out.take()
                self._held -= 1
                self._changed.notify_all()
            yield result

    def close(self) -> None:
        """Take no more frames; those that were taken are still answered."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._thread.join()

    @property
    def _is_over(self) -> bool:
        return self._closing and self._held == 0

    @property
    def _has_room(self) -> bool:
        return self._dispatcher.has_room and self._out.unread < self._dispatcher.capacity

    def _may_submit(self) -> bool:
        return self._has_room or self._closing or self._error is not None

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    # The device's thread.

    def _work(self) -> None:
        try:
            while (job := self._next_job()) is not None:
                self._compute(job)
        except BaseException as error:  # whatever it is, whoever waits must learn of it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _next_job(self) -> Job[Queued] | None:
        """Wait for the next job; None when all is done."""
        with self._changed:
            while True:
                now = time.monotonic()
                for late in self._dispatcher.late(now):
                    self._finish(late, None, "dropped", "", now)
                job = self._dispatcher.next_job(now, reachable=self._reachable(now))
                if self._timeline is not None:
                    self._timeline.note_plan(now - self._started_s, self._dispatcher.plan.name)
                if job is not None:
                    self._changed.notify_all()
                    return job
                if self._closing and not self._dispatcher.queue and not self._dispatcher.requests_under_way:
                    return None
                self._changed.wait(LOOK_S)

    def _reachable(self, now: float) -> bool:
        return now >= self._refused_until_s and self._link.reachable

    def _compute(self, job: Job[Queued]) -> None:
        level = level_of(self._dispatcher.tables, job.plan) if job.sends else None
        system = self._systems.sending(job.plan.cut, level.codec, level.quality) if level else self._systems.local()
        frames = [queued.frame for queued in job.frames]
        start_s = time.monotonic()
        for _ in range(self._repeat - 1):
            _advance(system.infer_batch(frames))
        inference = system.infer_batch(frames)
        request = _advance(inference)
        end_s = time.monotonic()
        if isinstance(request, list):
            with self._changed:
                self._note(job, start_s, end_s)
                self._answer(job, request, end_s)
            return
        self._send(job, inference, request)
        with self._changed:
            self._note(job, start_s, time.monotonic())

    def _note(self, job: Job[Queued], start_s: float, end_s: float) -> None:
        self._dispatcher.computed(job, end_s - start_s)
        self._span("device", start_s, end_s, job)

    def _send(self, job: Job[Queued], inference: BatchInference, request: Request) -> None:
        size = sum(len(payload.data) for payload in request.payloads) + round(self._dispatcher.tables.request_bytes)
        with self._changed:
            now = time.monotonic()
            limit_s = min(self._dispatcher.time_limit_s(job, now), PATIENCE_S)
            self._dispatcher.sent(job, size, now)
            if self._timeline is not None:
                self._timeline.sent_bytes += size
        # Outside the lock: a closed breaker answers at once, from this very call.
        self._link.start(request, limit_s, lambda reply: self._replied(job, inference, reply, now))

    # Whoever brings the reply.

    def _replied(
        self, job: Job[Queued], inference: BatchInference, reply: Reply | LinkError, sent_s: float
    ) -> None:
        now = time.monotonic()
        if isinstance(reply, LinkError):
            inference.close()
            self._lost(job, reply, now)
            return
        try:
            inference.send(reply)
        except StopIteration as finished:
            answers: list[Answer] = finished.value
        except EdgeRuntimeError as unusable:
            self._lost(job, unusable, now)
            return
        server_s = sum(reply.timings_ms.values()) / 1e3
        with self._changed:
            self._dispatcher.replied(job, server_s, now)
            self._note_way(job, reply, sent_s, now)
            self._answer(job, answers, now)

    def _lost(self, job: Job[Queued], reason: EdgeRuntimeError, now: float) -> None:
        with self._changed:
            self.trouble = str(reason)
            if isinstance(reason, ServerRefused):
                self._refused_until_s = now + REFUSED_S
            self._lost_places.update(queued.place for queued in job.frames)
            self._dispatcher.lost(job)
            self._changed.notify_all()

    def _note_way(self, job: Job[Queued], reply: Reply, sent_s: float, now: float) -> None:
        """Where the time went; the server's clock is not ours, so half a round trip back is as good as it gets."""
        done_s = now - self._dispatcher.link.round_trip_s / 2
        arrived_s = done_s - sum(reply.timings_ms.values()) / 1e3
        crossing_s = min(max(sent_s, self._link_free_s), arrived_s)
        self._link_free_s = arrived_s
        self._span("link", crossing_s, arrived_s, job)
        self._span("server", done_s - reply.timings_ms["compute"] / 1e3, done_s, job)

    def _span(self, lane: Lane, start_s: float, end_s: float, job: Job[Queued]) -> None:
        if self._timeline is not None:
            self._timeline.span(lane, start_s - self._started_s, end_s - self._started_s, job)

    def _answer(self, job: Job[Queued], answers: list[Answer], now: float) -> None:
        for queued, answer in zip(job.frames, answers, strict=True):
            fate: Fate = "server" if job.sends else "fallback" if queued.place in self._lost_places else "device"
            self._finish(queued, answer, fate, job.plan.name, now)

    def _finish(self, queued: Queued, answer: Answer | None, fate: Fate, plan: str, now: float) -> None:
        start_s = self._started_s
        self._lost_places.discard(queued.place)
        outcome = Outcome(
            queued.frame.id, queued.arrived_s - start_s, now - start_s, queued.deadline_s - start_s, fate, plan
        )
        if self._timeline is not None:
            self._timeline.outcomes.append(outcome)
        self._out.put(queued.place, Result(queued.frame, answer, outcome))
        self._changed.notify_all()


def _advance(inference: BatchInference) -> Request | list[Answer]:
    """Run a system until it wants something of the server, or has its answers."""
    try:
        return next(inference)
    except StopIteration as finished:
        answers: list[Answer] = finished.value
        return answers


class _Out(Protocol):
    """Results on their way out."""

    @property
    def unread(self) -> int:
        """Results held."""

    @property
    def ready(self) -> bool:
        """Whether one can be taken."""

    def put(self, place: int, result: Result) -> None:
        """Add the result of the frame that came as number ``place``."""

    def take(self) -> Result:
        """The next one."""


class _AsReady:
    def __init__(self) -> None:
        self._results: deque[Result] = deque()

    @property
    def unread(self) -> int:
        return len(self._results)

    @property
    def ready(self) -> bool:
        return bool(self._results)

    def put(self, place: int, result: Result) -> None:  # noqa: ARG002 - of `_Out`
        self._results.append(result)

    def take(self) -> Result:
        return self._results.popleft()


class _Ordered:
    def __init__(self) -> None:
        self._results: list[tuple[int, Result]] = []
        self._next = 0

    @property
    def unread(self) -> int:
        return len(self._results)

    @property
    def ready(self) -> bool:
        return bool(self._results) and self._results[0][0] == self._next

    def put(self, place: int, result: Result) -> None:
        heapq.heappush(self._results, (place, result))

    def take(self) -> Result:
        self._next += 1
        return heapq.heappop(self._results)[1]
