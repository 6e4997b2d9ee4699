"""How frames come to their answers: a system's steps in the models' thread, its requests over the link.

While one frame waits for its reply the models work on the next: that is all there is to pipelining.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from edge_runtime.errors import LinkError, LinkLost, Unmeetable
from edge_runtime.messages import Answer, Request
from edge_runtime.systems.driver import RETURN_MARGIN_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor as Threads

    from edge_runtime.daemon.link import Link
    from edge_runtime.messages import Frame, Reply
    from edge_runtime.scheduling.executor import Executor, Result
    from edge_runtime.systems import Inference, System
    from edge_runtime.systems.local import Local

# A fallback answer is allowed so many times what it took when it was tried.
FALLBACK_SPARE = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, and the first request that was lost on the way to it, if any was."""

    answer: Answer
    lost: Request | None = None


class Unanswered(LinkError):  # noqa: N818 - of a frame
    """No answer was there: the link was lost, and the device has none of its own. ``lost`` is what was to be asked."""

    def __init__(self, reason: str, lost: Request | None) -> None:
        super().__init__(reason)
        self.lost = lost


class Answering(Protocol):
    """Whatever answers one source's frames, any number of them at once."""

    async def answer(self, frame: Frame) -> Outcome:
        """The answer to a frame, before its deadline if that can be; raises Unanswered."""

    def close(self) -> None:
        """Let go; nothing is under way any more."""


class Fallback:
    """The device's own answer, for systems that have none; it takes ``takes_s`` seconds."""

    def __init__(self, local: Local, takes_s: float) -> None:
        self._local = local
        self.takes_s = takes_s * FALLBACK_SPARE

    def alone(self, frame: Frame, reason: str) -> Answer:
        """Answer in place of the server."""
        answer = _advance(partial(next, self._local.infer(frame)))
        assert isinstance(answer, Answer)  # noqa: S101 - it asks nothing
        return replace(answer, decided_by="edge-fallback", note=reason)


class OneByOne:
    """Runs a system for each frame. ``models`` is the one thread in which all its steps are taken.

    While the link is lost ``alone(frame, reason)`` answers at once, if it is given: nothing is encoded for a server
    that is not there. Where the link is lost on the way, a system without an answer of its own has the fallback's.
    """

    def __init__(
        self,
        system: System,
        link: Link,
        models: Threads,
        alone: Callable[[Frame, str], Answer] | None = None,
        fallback: Fallback | None = None,
    ) -> None:
        self._system, self._link, self._models = system, link, models
        self._alone, self._fallback = alone, fallback

    async def answer(self, frame: Frame) -> Outcome:
        """The system's answer, or the device's own."""
        if self._alone and self._link.breaker != "closed":
            loop = asyncio.get_running_loop()
            return Outcome(await loop.run_in_executor(self._models, self._alone, frame, self._link.lost))
        return await self._ask(frame)

    async def _ask(self, frame: Frame) -> Outcome:
        reserved_s = RETURN_MARGIN_S + (self._fallback.takes_s if self._fallback else 0.0)
        asked: list[Request] = []

        async def call(request: Request) -> Reply:
            try:
                return await self._link.call(request, max(frame.deadline_s - reserved_s - time.monotonic(), 0.0))
            except LinkLost:
                asked.append(request)
                raise

        try:
            answer = await drive(self._system.infer(frame), call, self._models)
        except (LinkError, Unmeetable) as lost:
            request = asked[0] if asked else None
            if self._fallback is None:
                raise Unanswered(str(lost), request) from lost
            loop = asyncio.get_running_loop()
            alone = self._fallback.alone
            return Outcome(await loop.run_in_executor(self._models, alone, frame, str(lost)), request)
        return Outcome(answer, asked[0] if asked else None)

    def close(self) -> None:
        """Nothing is held."""


async def drive(inference: Inference, call: Callable[[Request], Awaitable[Reply]], models: Threads) -> Answer:
    """Run a system to its answer: ``systems.driver.drive`` for an event loop, with the same rules."""
    loop = asyncio.get_running_loop()
    step = partial(next, inference)
    while True:
        found = await loop.run_in_executor(models, _advance, step)
        if isinstance(found, Answer):
            return found
        try:
            reply = await call(found)
        except LinkError as lost:
            step = partial(inference.throw, lost)
        else:
            step = partial(inference.send, reply)


def _advance(step: Callable[[], Request]) -> Request | Answer:
    """Take a step of a generator; what it returns at its end is as good as what it yields."""
    try:
        return step()
    except StopIteration as finished:
        answer: Answer = finished.value
        return answer


class Scheduled:
    """Frames through the scheduler's executor, which chooses plans for its queue and has a thread of its own.

    The executor must drop nothing and hold as many frames as are under way.
    """

    def __init__(self, executor: Executor, loop: asyncio.AbstractEventLoop) -> None:
        self._executor, self._loop = executor, loop
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}
        self._reader = threading.Thread(target=self._read, name="results", daemon=True)
        self._reader.start()

    async def answer(self, frame: Frame) -> Outcome:
        """The answer that the executor comes to."""
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self._waiting[frame.id] = future
        try:
            if not self._executor.submit(frame, 0.0):
                raise Unanswered("the scheduler's queue is full", None)
            return await future
        finally:
            del self._waiting[frame.id]

    def close(self) -> None:
        """End the executor's thread."""
        self._executor.close()
        self._reader.join()
        self._executor.__exit__(None, None, None)

    def _read(self) -> None:
        try:
            for result in self._executor.results():
                self._loop.call_soon_threadsafe(self._answered, result)
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._failed, error)

    def _answered(self, result: Result) -> None:
        future = self._waiting.get(result.frame.id)
        if future is None or future.done():
            return
        assert result.answer is not None  # noqa: S101 - late frames are computed here, none is dropped
        answer, outcome = result.answer, result.outcome
        if outcome.fate == "fallback":
            answer = replace(answer, decided_by="edge-fallback", note=self._executor.trouble)
        else:
            answer = replace(answer, note=f"plan {outcome.plan}")
        future.set_result(Outcome(answer))

    def _failed(self, error: BaseException) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
