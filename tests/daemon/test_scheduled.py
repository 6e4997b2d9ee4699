"""Frames through the scheduler's executor: many at once, lost requests, models that raise."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.daemon.answering import Scheduled, Unanswered
from edge_runtime.daemon.link import NoLink
from edge_runtime.errors import LinkLost, ModelError
from edge_runtime.messages import Answer, Frame
from edge_runtime.models import Bundle
from edge_runtime.scheduling.bundle_tables import bundle_tables
from edge_runtime.scheduling.device import Device
from edge_runtime.scheduling.dispatch import Dispatcher
from edge_runtime.scheduling.executor import Executor
from edge_runtime.scheduling.planner import Planner
from edge_runtime.scheduling.plans import Plan
from edge_runtime.systems.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edge_runtime.daemon.answering import Outcome
    from edge_runtime.errors import LinkError
    from edge_runtime.messages import Reply, Request
    from edge_runtime.scheduling.executor import Link, Systems
    from edge_runtime.scheduling.state import Policy, State
    from edge_runtime.scheduling.tables import Tables
    from edge_runtime.systems import BatchInference

LITE0 = Bundle.load(Path(__file__).parents[2] / "zoo" / "lite0")
PIXELS = np.zeros((2, 2, 3), np.uint8)


def frame(number: int, pixels: NDArray[np.uint8] = PIXELS) -> Frame:
    """A frame that is due in ten seconds."""
    return Frame(number, pixels, time.monotonic() + 10.0)


@pytest.fixture(scope="module")
def device() -> Device:
    """The scheduler's network of the zoo."""
    return Device(LITE0)


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Its tables."""
    return bundle_tables(LITE0, None)


def scheduled(
    tables: Tables, systems: Systems, link: Link, policy: Policy | None = None, capacity: int = 32
) -> Scheduled:
    """An executor as the daemon has it; within a running loop."""
    estimate = LinkEstimate(1e6, 0.01, time.monotonic())
    dispatcher = Dispatcher(policy or Planner.of(tables, 0.01), tables, estimate, capacity=capacity, late="local")
    return Scheduled(Executor(dispatcher, systems, link), asyncio.get_running_loop())


def working() -> set[str]:
    """Names of the executor's threads that run."""
    return {thread.name for thread in threading.enumerate()} & {"device", "results"}


def test_the_scheduler_answers_many_frames_at_once_and_ends_its_threads(
    tables: Tables, device: Device, grey: NDArray[np.uint8]
) -> None:
    """Each of them has its own answer, made here where no server is."""

    async def run() -> list[Outcome]:
        answering = scheduled(tables, device, NoLink())
        try:
            outcomes = await asyncio.gather(*(answering.answer(frame(number, grey)) for number in range(16)))
            assert working() == {"device", "results"}
        finally:
            await asyncio.to_thread(answering.close)
        return outcomes

    outcomes = asyncio.run(run())
    assert [(found.answer.decided_by, found.lost) for found in outcomes] == [("edge", None)] * 16
    assert all(found.answer.note.startswith("plan local(") for found in outcomes)
    assert working() == set()


class Here:
    """Stands where a `Device` does: ``step`` is all that its models do."""

    def __init__(self, step: Callable[[], None]) -> None:
        self.step = step

    def local(self) -> Here:
        """Itself."""
        return self

    def sending(self, *_: object) -> Remote:
        """Photos."""
        return Remote()

    def infer_batch(self, frames: Sequence[Frame]) -> BatchInference:
        """Take the step, and answer."""
        self.step()
        yield from ()
        return [Answer(np.array([1.0, 0.0], np.float32), 0, "edge", 0.0) for _ in frames]


def test_a_frame_for_which_the_scheduler_has_no_room_is_unanswered(tables: Tables) -> None:
    """Those that it has taken are not touched by that."""

    async def run() -> None:
        answering = scheduled(tables, Here(compute), NoLink(), capacity=1)
        try:
            computing = asyncio.create_task(answering.answer(frame(1)))
            await asyncio.to_thread(begun.wait)
            waiting = asyncio.create_task(answering.answer(frame(2)))
            await asyncio.sleep(0)
            with pytest.raises(Unanswered, match="full"):
                await answering.answer(frame(3))
            go_on.set()
            assert [outcome.answer.label for outcome in await asyncio.gather(computing, waiting)] == [0, 0]
        finally:
            go_on.set()
            await asyncio.to_thread(answering.close)

    def compute() -> None:
        begun.set()
        go_on.wait()

    begun, go_on = threading.Event(), threading.Event()
    asyncio.run(run())


def test_a_model_that_raises_fails_all_who_wait(tables: Tables) -> None:
    """And those who come later; closing is orderly all the same."""

    def fail() -> None:
        failing.wait()
        raise ModelError("lite0: did not run")

    async def run() -> None:
        answering = scheduled(tables, Here(fail), NoLink())
        try:
            waiting = [asyncio.create_task(answering.answer(frame(number))) for number in range(3)]
            await asyncio.sleep(0)
            failing.set()
            for error in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(error, ModelError)
            with pytest.raises(ModelError, match="did not run"):
                await answering.answer(frame(4))
        finally:
            await asyncio.to_thread(answering.close)

    failing = threading.Event()
    asyncio.run(run())
    assert working() == set()


class Always:
    """A policy that sends photos where a server is in reach."""

    probe = None
    name = "always"

    def choose(self, state: State) -> Plan:
        """One by one."""
        return Plan("remote", 1, "", "jpeg q75") if state.link.reachable else Plan("local", 1)


class Dead:
    """A client that seems to reach somebody, and loses the first request; from then on nobody is there."""

    reachable = True

    def start(self, request: Request, timeout_s: float, done: Callable[[Reply | LinkError], None]) -> None:  # noqa: ARG002 - of `Client`
        """Lose it."""
        self.reachable = False
        done(LinkLost("cut in mid-request"))


def test_a_frame_whose_request_was_lost_is_computed_here(tables: Tables, grey: NDArray[np.uint8]) -> None:
    """Its answer says that it is a fallback, and why."""

    async def run() -> Outcome:
        answering = scheduled(tables, Here(lambda: None), Dead(), Always())
        try:
            return await answering.answer(frame(1, grey))
        finally:
            await asyncio.to_thread(answering.close)

    answer = asyncio.run(run()).answer
    assert (answer.decided_by, answer.note) == ("edge-fallback", "cut in mid-request")


def test_a_caller_that_has_gone_is_not_missed(tables: Tables) -> None:
    """Its result comes to nobody, and the next frame to its answer."""

    async def run() -> Outcome:
        answering = scheduled(tables, Here(go_on.wait), NoLink())
        try:
            gone = asyncio.create_task(answering.answer(frame(1)))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            go_on.set()
            return await answering.answer(frame(2))
        finally:
            await asyncio.to_thread(answering.close)

    go_on = threading.Event()
    assert asyncio.run(run()).answer.decided_by == "edge"
