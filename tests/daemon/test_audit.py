"""The audit: how often it asks, what it finds, and what it never does."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.audit import Audit
from edge_runtime.daemon.link import NoLink, ServerLink
from edge_runtime.daemon.metrics import Metrics
from edge_runtime.daemon.tally import Tally
from edge_runtime.errors import LinkLost
from edge_runtime.messages import Answer, Frame, Reply, Request
from edge_runtime.systems.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor as Threads

    from numpy.typing import NDArray

    from edge_runtime.messages import DecidedBy
    from edge_runtime.models import Bundle


class Server:
    """A link to a server that says class 1, or is lost; with ``held`` it takes its time."""

    server, lost = "there", "there: not asked"

    def __init__(self) -> None:
        self.breaker = "closed"
        self.cut = False
        self.asked: list[int] = []
        self.held = asyncio.Event()
        self.held.set()

    async def call(self, request: Request, timeout_s: float) -> Reply:
        """Answer when it may."""
        assert timeout_s > 1
        self.asked.append(request.frame_id)
        await self.held.wait()
        if self.cut:
            raise LinkLost("cut")
        return Reply(np.array([[0.25, 0.75]], np.float32), "net", {"decode": 0.0, "queue": 0.0, "compute": 0.0})


@pytest.fixture
def eyes() -> Iterator[Threads]:
    """The thread that encodes photos."""
    with ThreadPoolExecutor(1, "eyes") as threads:
        yield threads


@pytest.fixture
def tally() -> Tally:
    """Nothing counted yet."""
    return Tally("gate", Metrics())


def found(tally: Tally) -> dict[str, int]:
    """What audits came to."""
    return tally.state("http", "local", 0, 0).audits


def offer(audit: Audit, pixels: NDArray[np.uint8], number: int, label: int = 1, decided_by: DecidedBy = "edge") -> None:
    """One answer more."""
    audit.offer(Frame(number, pixels), Answer(np.ones(2, np.float32), label, decided_by, 0.0))


async def idle(audit: Audit) -> None:
    """Until nothing is under way."""
    while audit._task is not None:
        await asyncio.wait([audit._task])


@pytest.mark.parametrize(
    ("share", "frames", "asked"),
    [
        (0.1, 100, list(range(9, 100, 10))),
        (0.3, 10, [3, 6, 9]),
        (0.25, 12, [3, 7, 11]),
        (1.0, 3, [0, 1, 2]),
    ],
)
def test_just_the_share_is_asked_about_evenly_spaced(
    eyes: Threads, tally: Tally, grey: NDArray[np.uint8], share: float, frames: int, asked: list[int]
) -> None:
    """Tenths do not add up to one in binary, and the audit knows."""

    async def run() -> list[int]:
        server = Server()
        audit = Audit(share, Remote(), server, eyes, tally)
        for number in range(frames):
            offer(audit, grey, number)
            await idle(audit)
        return server.asked

    assert asyncio.run(run()) == asked
    assert found(tally) == {"agreed": len(asked)}


def test_a_share_over_many_frames_is_that_share(eyes: Threads, tally: Tally, grey: NDArray[np.uint8]) -> None:
    """What one interval is too short the next one makes up for."""

    async def run() -> int:
        server = Server()
        audit = Audit(0.37, Remote(), server, eyes, tally)
        for number in range(200):
            offer(audit, grey, number)
            await idle(audit)
        return len(server.asked)

    assert asyncio.run(run()) == 74


def test_outcomes_are_told_apart(eyes: Threads, tally: Tally, grey: NDArray[np.uint8]) -> None:
    """The server may say the same, or something else, or nothing."""

    async def run() -> None:
        server = Server()
        audit = Audit(1.0, Remote(), server, eyes, tally)
        for number, label in enumerate((1, 0, 1)):
            server.cut = number == 2
            offer(audit, grey, number, label)
            await idle(audit)

    asyncio.run(run())
    assert found(tally) == {"agreed": 1, "disagreed": 1, "lost": 1}


@pytest.mark.parametrize("decided_by", ["server", "edge-fallback", "best-effort"])
def test_only_sure_answers_of_the_device_are_audited(
    eyes: Threads, tally: Tally, grey: NDArray[np.uint8], decided_by: DecidedBy
) -> None:
    """The others do not count towards the share either."""

    async def run() -> list[int]:
        server = Server()
        audit = Audit(0.5, Remote(), server, eyes, tally)
        for number in range(4):
            offer(audit, grey, number, decided_by=decided_by)
        offer(audit, grey, 4)
        assert audit._task is None
        offer(audit, grey, 5)
        await idle(audit)
        return server.asked

    assert asyncio.run(run()) == [5]


def test_while_the_link_is_lost_nothing_is_sent_and_one_is_owed(
    eyes: Threads, tally: Tally, grey: NDArray[np.uint8]
) -> None:
    """When the server is back it is not asked about all that it missed."""

    async def run() -> list[int]:
        server = Server()
        server.breaker = "open"
        audit = Audit(0.5, Remote(), server, eyes, tally)
        for number in range(20):
            offer(audit, grey, number)
        assert server.asked == []
        server.breaker = "closed"
        for number in range(20, 24):
            offer(audit, grey, number)
            await idle(audit)
        return server.asked

    assert asyncio.run(run()) == [20, 21, 23]


def test_no_answer_is_held_up(eyes: Threads, tally: Tally, grey: NDArray[np.uint8]) -> None:
    """One is asked about at a time, and offering returns at once; what comes due meanwhile is asked about next."""

    async def run() -> list[int]:
        server = Server()
        server.held.clear()
        audit = Audit(0.5, Remote(), server, eyes, tally)
        for number in range(8):
            offer(audit, grey, number)
        while not server.asked:
            await asyncio.sleep(0)
        assert server.asked == [1]
        server.held.set()
        await idle(audit)
        offer(audit, grey, 8)
        await idle(audit)
        return server.asked

    assert asyncio.run(run()) == [1, 8]


def test_what_is_under_way_at_the_end_is_given_up(eyes: Threads, tally: Tally, grey: NDArray[np.uint8]) -> None:
    """It counts as lost, and closing waits for nobody."""

    async def run() -> None:
        server = Server()
        server.held.clear()
        audit = Audit(1.0, Remote(), server, eyes, tally)
        await audit.close()
        offer(audit, grey, 0)
        while not server.asked:
            await asyncio.sleep(0)
        await audit.close()
        assert audit._task is None

    asyncio.run(run())
    assert found(tally) == {"lost": 1}


def test_a_device_without_a_server_audits_nothing(eyes: Threads, tally: Tally, grey: NDArray[np.uint8]) -> None:
    """There is nobody to ask."""
    audit = Audit(1.0, Remote(), NoLink(), eyes, tally)
    offer(audit, grey, 0)
    assert audit._task is None


@pytest.mark.host
def test_a_real_server_is_asked_about_the_whole_frame(
    zoo: Bundle, zoo_server: str, eyes: Threads, tally: Tally, grey: NDArray[np.uint8]
) -> None:
    """Its label is held against the device's, whichever that is."""

    async def run() -> None:
        link = ServerLink(config.Link(server=zoo_server), zoo.hash, losses=1)
        try:
            audit = Audit(1.0, Remote(), link, eyes, tally)
            for label in range(len(zoo.classes)):
                offer(audit, grey, label, label)
                await idle(audit)
        finally:
            link.close()

    asyncio.run(run())
    assert found(tally) == {"agreed": 1, "disagreed": len(zoo.classes) - 1}
