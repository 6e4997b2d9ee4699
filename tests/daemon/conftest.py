"""What tests of the daemon share: a local port with everything behind it, a server of the zoo, photos."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from edge_runtime.codecs import image
from edge_runtime.daemon import config
from edge_runtime.daemon.frames import Captured, Record
from edge_runtime.daemon.health import Health
from edge_runtime.daemon.intake import Intake
from edge_runtime.daemon.metrics import Metrics
from edge_runtime.daemon.recent import Recent
from edge_runtime.daemon.sources.posted import Desks, Posted
from edge_runtime.daemon.state import LinkState, SourceState, SpoolState, State
from edge_runtime.daemon.web import Web
from edge_runtime.errors import PhotoError
from server_ref.backend import Backend
from server_ref.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from numpy.typing import NDArray

    from edge_runtime.models import Bundle

RECORD = Record(
    key="1f",
    source="gate",
    name="one.jpg",
    captured="2026-01-02T03:04:05.678+00:00",
    system="attention",
    label="church",
    probability=0.93,
    decided_by="server",
    why="min-entropy 1.31 is above 0.80, so the server was asked",
    min_entropy=1.31,
    patches_sent=3,
    payload_bytes=1234,
    whole_bytes=9876,
    rounds=1,
    latency_ms=41.5,
    deadline_ms=1000.0,
    in_time=True,
    timings_ms={"decode": 3.1, "edge": 21.0, "link": 17.4},
    bundle_hash="ab",
)
STATE = State(
    version="0.1.0",
    kernels="native",
    started="2026-01-02T03:04:05+00:00",
    uptime_s=93784.0,
    level="degraded",
    conditions=[],
    links=[LinkState(server="server:50151", breaker="open")],
    sources=[
        SourceState(
            name="gate",
            kind="http",
            system="attention",
            queued=1,
            in_flight=2,
            frames=1250,
            answers={"edge": 840, "server": 370, "edge-fallback": 30},
            dropped={"full": 8},
            refused=2,
            late=4,
            payload_bytes=1_340_000,
            whole_bytes=11_200_000,
            audits={"agreed": 97, "disagreed": 3, "lost": 1},
            latency_ms={"p50": 28.4, "p95": 88.1, "p99": 160.2},
            stages_ms={"decode": 3.1, "edge": 20.3, "encode": 1.2, "link": 14.8, "server": 6.2},
        )
    ],
    spool=SpoolState(items=12, bytes=240_000, file_bytes=400_000, max_bytes=64 << 20),
)


class LocalPort:
    """The port, open inside ``async with``; its one source is ``gate``, and a stand-in for the lane answers.

    A photo that begins with ``bad`` cannot be read, one that begins with ``slow`` waits for ``released``.
    """

    def __init__(
        self, queue: int = 16, when_full: config.WhenFull = "drop-newest", max_fps: float | None = None, **settings: Any
    ) -> None:
        self.settings = config.Http(**{"listen": "127.0.0.1:0", **settings})
        self.desks, self.metrics, self.health = Desks(), Metrics(), Health()
        # Every frame is made into a picture, however soon it comes.
        self.recent = Recent(self.settings.page_frames, clock=map(float, itertools.count()).__next__)
        self.state, self.record = STATE, RECORD
        self.intake = Intake(queue, "oldest", when_full, max_fps, lambda _: None)
        self.source = Posted(config.Posted(name="gate", system=config.Local()), self.desks)
        self.taken: list[Captured] = []
        self.web = Web(self.settings, self.desks, self.metrics, self.recent, self.health, self._state)

    async def __aenter__(self) -> LocalPort:
        self.released = asyncio.Event()
        self._tasks = [asyncio.create_task(self.source.run(self.intake)), asyncio.create_task(self._answer())]
        await self.web.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.web.close()

    @property
    def refused(self) -> dict[str, float]:
        """Connections turned away or closed, by reason."""
        samples = next(iter(self.metrics.turned_away.collect())).samples
        return {one.labels["reason"]: one.value for one in samples if one.name.endswith("_total")}

    @property
    def held_bytes(self) -> int:
        """Of photos in memory."""
        return self.web._bodies.held_bytes

    @property
    def open_connections(self) -> float:
        """As the metrics have it."""
        return next(iter(self.metrics.connections.collect())).samples[0].value

    @property
    def listeners(self) -> int:
        """Pages that get events."""
        return self.web._events.listeners

    async def frame(self) -> Record:
        """Have a frame answered that comes from elsewhere than the port."""
        captured = Captured("own", b"own", math.inf)
        await self.intake.offer(captured)
        return await captured.answered

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection."""
        host, port = self.web.address.removeprefix("http://").rsplit(":", 1)
        return await asyncio.open_connection(host, int(port))

    async def send(self, data: bytes) -> bytes:
        """What comes back for these bytes until the port closes the connection."""
        reader, writer = await self.connect()
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        answer = b""
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(1 << 16):
                answer += chunk
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return answer

    def _state(self) -> State:
        return msgspec.structs.replace(self.state, conditions=self.health.conditions)

    async def _answer(self) -> None:
        while (captured := await self.intake.take()) is not None:
            self.taken.append(captured)
            assert isinstance(captured.image, bytes)
            if captured.image.startswith(b"slow"):
                await self.released.wait()
            if captured.image.startswith(b"bad"):
                captured.fail(PhotoError(f"{captured.name}: cannot be read as a picture"))
            else:
                record = msgspec.structs.replace(RECORD, key=captured.key, name=captured.name)
                captured.answered.set_result(record)
                captured.recorded.set_result(record)


@pytest.fixture
def local_port() -> Callable[..., LocalPort]:
    """Makes local ports; what differs from the defaults is named."""
    return LocalPort


@pytest.fixture(scope="session")
def zoo_server(zoo: Bundle) -> Iterator[str]:
    """Address of a server of the zoo's models."""
    with Server(Backend.open(zoo)) as server:
        yield server.address


@pytest.fixture(scope="session")
def grey() -> NDArray[np.uint8]:
    """A frame of the zoo without anything in it."""
    return np.full((224, 224, 3), 128, np.uint8)


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    """Four smooth JPEGs; nobody could classify them, which is fine here."""
    random = np.random.default_rng(0)
    coarse = [Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8)) for _ in range(4)]
    return [image.encode(np.asarray(one.resize((320, 240), Image.Resampling.BICUBIC))) for one in coarse]


@pytest.fixture
def one_record() -> Record:
    """What became of a frame that the server answered."""
    return RECORD
