"""A link made slow, far or broken on purpose: a TCP proxy on loopback, for tests and `evaluate --link`.

It counts every byte of the TCP streams it carries, both ways, shaped or not: what gRPC, HTTP/2 and TLS add is in the
count, what TCP and IP add is not. Opening a connection takes no simulated time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import re
import selectors
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from types import TracebackType

# One segment of a real link, so that a shaped stream trickles as a real one does.
SEGMENT_BYTES = 1448
# Segments under way at most; beyond that the sender feels back-pressure. 1024 segments fill 100 Mbit/s × 100 ms.
SEGMENTS_UNDER_WAY = 1024

UNITS = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
LINK = re.compile(r"(?P<rate>\d+(?:\.\d+)?)(?P<unit>[kmg]?bit)/(?P<rtt>\d+(?:\.\d+)?)ms")


@dataclass(frozen=True, slots=True)
class LinkShape:
    """What a link does to the bytes: ``rate_bps`` bit/s in each direction, ``delay_s`` seconds one way.

    ``jitter_s`` adds up to that many seconds to each delay, evenly spread, without changing the order.
    """

    rate_bps: float = math.inf
    delay_s: float = 0.0
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.rate_bps > 0:
            raise ArgumentError(f"rate_bps: {self.rate_bps} is not positive")
        if not (0 <= self.delay_s < math.inf and 0 <= self.jitter_s < math.inf):
            raise ArgumentError(f"delay_s, jitter_s: {self.delay_s}, {self.jitter_s} must be finite and not negative")

    @classmethod
    def parse(cls, text: str) -> LinkShape:
        """Read ``RATE/RTT`` such as ``5mbit/20ms``: rate each way, round-trip time; raises ArgumentError."""
        match = LINK.fullmatch(text.strip().lower())
        if match is None:
            raise ArgumentError(f"link: {text!r} is not RATE/RTT, write it like 5mbit/20ms or 800kbit/100ms")
        return cls(float(match["rate"]) * UNITS[match["unit"]], float(match["rtt"]) / 2000)


class Direction:
    """One way of the link: all connections share its rate, and its bytes are counted."""

    def __init__(self, shape: LinkShape) -> None:
        self.bytes = 0
        self.shape = shape
        self._free_s = 0.0

    async def accept(self, reader: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        """Put a sender's bytes on the line, each segment with its time of arrival, until it closes."""
        while segment := await reader.read(self._segment_bytes()):
            self.bytes += len(segment)
            await under_way.put((self._arrival_s(len(segment)), segment))
        await under_way.put((0.0, b""))

    def _segment_bytes(self) -> int:
        return SEGMENT_BYTES if math.isfinite(self.shape.rate_bps) else 1 << 16

    def _arrival_s(self, size: int) -> float:
        """Occupy the line for ``size`` bytes; the time at which the last of them arrives at the other end."""
        shape = self.shape  # read once: another thread may put a new one in its place
        self._free_s = max(self._free_s, time.monotonic()) + size * 8 / shape.rate_bps
        return self._free_s + shape.delay_s + random.uniform(0, shape.jitter_s)  # noqa: S311


class Shaper:
    """A proxy from a free loopback port to ``target`` (``host:port``); a context manager.

    Connect to `address`. `bytes_up` and `bytes_down` count the bytes accepted from client and server.
    """

    def __init__(self, target: str, shape: LinkShape | None = None) -> None:
        shape = shape or LinkShape()
        self._host, self._port = _host_port(target)
        self._up, self._down = Direction(shape), Direction(shape)
        # Other selectors wait for whole milliseconds: long beside the 0.25 ms that 2 kB take at 64 Mbit/s. This one
        # takes 1024 open files of the process, which tests and demos do not come near.
        self._loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
        self._connections: set[asyncio.Task[None]] = set()
        self._open_gate = asyncio.Event()
        self._open_gate.set()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever, name="link-shaper", daemon=True)
        self._thread.start()

    @property
    def bytes_up(self) -> int:
        """Bytes accepted from clients so far."""
        return self._up.bytes

    @property
    def bytes_down(self) -> int:
        """Bytes accepted from the server so far."""
        return self._down.bytes

    def reshape(self, shape: LinkShape) -> None:
        """Change rate, delay and jitter from now on; what is on the line keeps its time of arrival.

        A shorter delay lets no byte overtake those before it. May be called from any thread.
        """
        self._up.shape = self._down.shape = shape

    def cut(self) -> None:
        """Drop every connection now; new ones are accepted."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result()

    def silence(self) -> None:
        """Deliver nothing any more, without closing: what is sent now arrives after `resume`."""
        self._loop.call_soon_threadsafe(self._open_gate.clear)

    def resume(self) -> None:
        """End a silence."""
        self._loop.call_soon_threadsafe(self._open_gate.set)

    def close(self) -> None:
        """Drop every connection and free the port."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Shaper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _drop(self) -> None:
        dropped = list(self._connections)
        for connection in dropped:
            connection.cancel()
        await asyncio.gather(*dropped, return_exceptions=True)

    async def _shut_down(self) -> None:
        self._server.close()
        await self._drop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        tasks: list[asyncio.Task[None]] = []
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
            ends.append(far_writer)
            for way, source, sink in ((self._up, reader, far_writer), (self._down, far_reader, writer)):
                under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(SEGMENTS_UNDER_WAY)
                tasks.append(asyncio.create_task(way.accept(source, under_way)))
                tasks.append(asyncio.create_task(_deliver(under_way, sink, self._open_gate)))
            await asyncio.gather(*tasks)
            for end in ends:
                # Both have finished: what is still buffered goes out before the end does.
                end.close()
                await end.wait_closed()
        except OSError:
            pass  # either end went away: both are closed below, which is all that a link could do
        finally:
            for task in tasks:
                task.cancel()
            for end in ends:
                end.transport.abort()


async def _deliver(
    under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, open_gate: asyncio.Event
) -> None:
    while True:
        due_s, segment = await under_way.get()
        if (left_s := due_s - time.monotonic()) > 0:
            await asyncio.sleep(left_s)
        await open_gate.wait()
        if not segment:
            with contextlib.suppress(OSError):
                writer.write_eof()
            return
        writer.write(segment)
        await writer.drain()


def _host_port(target: str) -> tuple[str, int]:
    host, separator, port = target.rpartition(":")
    if not separator or not host or not port.isdecimal():
        raise ArgumentError(f"target: {target!r} is not host:port")
    return host.strip("[]"), int(port)
