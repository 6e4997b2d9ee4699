"""What tests of a lane share: all that it works with, as stand-ins that the test can hold, break or ask."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.answering import Outcome
from edge_runtime.daemon.frames import Captured, Record
from edge_runtime.daemon.lane import Lane
from edge_runtime.daemon.link import NoLink
from edge_runtime.daemon.metrics import Metrics
from edge_runtime.daemon.recent import Recent
from edge_runtime.daemon.systems import Opened
from edge_runtime.daemon.tally import Tally
from edge_runtime.errors import SinkError
from edge_runtime.messages import Answer, Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor as Threads

    from numpy.typing import NDArray

    from edge_runtime.daemon.answering import Answering
    from edge_runtime.daemon.intake import Intake
    from edge_runtime.daemon.link import Link
    from edge_runtime.daemon.state import SourceState
    from edge_runtime.models import Bundle
    from edge_runtime.transport.spool import Spool


class Idle:
    """A source from which nothing comes; the test offers frames itself. With ``ends``, one that ends so."""

    trouble = ""

    def __init__(self, ends: Exception | None = None) -> None:
        self.ends = ends

    async def run(self, intake: Intake) -> None:
        """Wait, or end."""
        if self.ends:
            raise self.ends
        intake.begun.set()
        await asyncio.Event().wait()


class Kept:
    """A sink that keeps records in memory; ``trouble`` loses them, and while ``open`` is cleared none is taken."""

    name = "memory"

    def __init__(self, trouble: str = "") -> None:
        self.trouble = trouble
        self.records: list[Record] = []
        self.open = asyncio.Event()
        self.open.set()

    async def start(self) -> None:
        """Nothing to open."""

    async def put(self, record: Record) -> None:
        """Keep it, or not."""
        if self.trouble:
            raise SinkError(self.trouble)
        await self.open.wait()
        self.records.append(record)

    async def close(self) -> None:
        """Nothing is held."""


class Saying:
    """An answering that says what the test wants; frames wait while ``open`` is cleared."""

    def __init__(self, say: Callable[[Frame], Outcome]) -> None:
        self.say = say
        self.closed = False
        self.under_way = self.most_under_way = 0
        self.open = asyncio.Event()
        self.open.set()

    async def answer(self, frame: Frame) -> Outcome:
        """Say it."""
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.open.wait()
            return self.say(frame)
        finally:
            self.under_way -= 1

    def close(self) -> None:
        """Remember that."""
        self.closed = True


class Workplace:
    """What a lane needs, and what came of it."""

    def __init__(self, bundle: Bundle, eyes: Threads) -> None:
        self.bundle, self.eyes = bundle, eyes
        self.metrics = Metrics()
        self.tally = Tally("gate", self.metrics)
        self.recent = Recent(100)
        self.spool: Spool | None = None
        self.link: Link = NoLink()
        self.source = Idle()

    async def lane(self, answering: Answering, *sinks: Kept, in_flight: int = 4, **settings: Any) -> Lane:
        """A lane that has begun."""
        table = config.Posted(name="gate", system=config.Local(), **settings)
        opened = Opened(self.bundle, self.link, answering, in_flight, True, lambda answer: answer.note or "so")
        lane = Lane(table, "wait", self.source, opened, sinks, self.tally, self.recent, self.spool, self.eyes)
        await lane.start()
        return lane

    def state(self) -> SourceState:
        """The counts."""
        return self.tally.state("http", "local", 0, 0)

    sink, saying, idle = Kept, Saying, Idle

    @staticmethod
    def sure(_: Frame) -> Outcome:
        """The device's answer: the second of ten classes."""
        return Outcome(Answer(np.eye(10, dtype=np.float32)[1], 1, "edge", 0.25, timings_ms={"edge": 3.0}))

    @staticmethod
    def due(photo: bytes | NDArray[np.uint8], name: str = "one.jpg", due_s: float = 10.0) -> Captured:
        """A frame that is due in so many seconds."""
        return Captured(name, photo, time.monotonic() + due_s)

    @staticmethod
    async def ask(lane: Lane, *frames: Captured) -> list[Record | BaseException]:
        """Offer frames; what became of each."""
        for captured in frames:
            await lane.intake.offer(captured)
        return await asyncio.gather(*(captured.recorded for captured in frames), return_exceptions=True)

    @staticmethod
    async def end(lane: Lane) -> None:
        """As the assembly ends lanes."""
        await lane.stop_feeding()
        await lane.drain()


@pytest.fixture
def workplace(zoo: Bundle) -> Iterator[Workplace]:
    """A place for the zoo's frames."""
    with ThreadPoolExecutor(1, "eyes") as eyes:
        yield Workplace(zoo, eyes)
