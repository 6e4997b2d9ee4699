"""Delivery: records to a receiver that may be away, in order, each at least once."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from edge_runtime.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge_runtime.daemon.frames import Record
    from edge_runtime.daemon.metrics import Metrics
    from edge_runtime.transport.spool import Spool

# Records that wait in memory, where there is no spool or it takes none.
HELD = 256
# How long a record may be on its way before it is put into the spool, its sender waiting.
PATIENCE_S = 0.05
# Rests after a receiver was found away: the first, doubled up to the longest, and shortened by up to half by chance.
FIRST_REST_S = 0.25
LONGEST_REST_S = 30.0
# For what is under way when the sink is closed.
CLOSING_S = 1.0


class Reply(NamedTuple):
    """What came of sending: ``refused`` is for good, after ``away`` it is sent again; ``reason`` says why."""

    outcome: Literal["delivered", "refused", "away"]
    reason: str = ""


@dataclass(slots=True, eq=False)
class Held:
    """A record in memory; ``safe`` is resolved once it need not be, or fails with SinkError."""

    key: str
    body: bytes
    safe: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    spooled: bool = False

    def done(self) -> None:
        """It is delivered, or on disk."""
        if not self.safe.done():
            self.safe.set_result(None)

    def fail(self, message: str) -> None:
        """It is lost, or refused; who put it may not wait any more."""
        if not self.safe.done():
            self.safe.set_exception(SinkError(message))
            self.safe.exception()


class Delivery:
    """Sends one record at a time, and none twice that was answered.

    ``send(key, body)`` says what came of it. With a spool, a record that is not delivered within a moment is kept there
    until it is, and while any is there new ones queue up behind; so whoever put a record knows that it is delivered or
    on disk. While nothing waits and the receiver is quick the disk is spared. Without one, or while it takes nothing,
    up to 256 records wait in memory. ``trouble`` says what is wrong with the receiver, if anything is.
    """

    def __init__(
        self, name: str, send: Callable[[str, bytes], Awaitable[Reply]], spool: Spool | None, metrics: Metrics
    ) -> None:
        self.name = name
        self.trouble = ""
        self._send, self._spool = send, spool
        self._records = metrics.records
        self._held: deque[Held] = deque()
        self._backlog = self._has_spooled
        # One at a time puts into the spool or settles a record, so that the spool's order is that of arrival.
        self._turn = asyncio.Lock()
        self._wake, self._hurry = asyncio.Event(), asyncio.Event()
        self._rest_s = FIRST_REST_S
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send, what an earlier run left in the spool first."""
        self._task = asyncio.create_task(self._run(), name=f"sink-{self.name}")

    async def put(self, record: Record) -> None:
        """Take a record; raises SinkError for one that is lost, or refused at once."""
        one = Held(record.key + "/revision" * record.revises, record.to_json())
        if self._backlog:
            async with self._turn:
                if await self._store(one):
                    return None
        elif len(self._held) >= HELD:
            await self._spill()
        if len(self._held) >= HELD:
            self._lose(one, f"{HELD} records wait already")
            return one.safe.result()
        self._held.append(one)
        self._wake.set()
        if self._spool is not None:
            await asyncio.wait({one.safe}, timeout=PATIENCE_S)
            if not one.safe.done():
                await self._spill()
        return one.safe.result() if one.safe.done() else None

    def hurry(self) -> None:
        """Rest no longer: the receiver seems to be back."""
        self._hurry.set()

    async def close(self) -> None:
        """Send what is held if that is quick, else spool it."""
        self._closing = True
        self._wake.set()
        self._hurry.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=CLOSING_S)
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._spill()
        while self._held:
            self._lose(self._held.popleft(), "the daemon stops")

    @property
    def _has_spooled(self) -> bool:
        return self._spool is not None and self.name in self._spool.waiting

    async def _run(self) -> None:
        while self._held or not self._closing:
            if self._backlog and not self._closing:
                delivered = await self._send_spooled()
            elif self._held:
                delivered = await self._send_held(self._held[0])
            else:
                await _wait(self._wake, LONGEST_REST_S)
                self._backlog = self._has_spooled
                continue
            if delivered:
                self._rest_s = FIRST_REST_S
            elif self._closing:
                return
            else:
                await _wait(self._hurry, self._rest_s * random.uniform(0.5, 1))  # noqa: S311 - no secret
                self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)

    async def _send_held(self, one: Held) -> bool:
        """Send the first record in memory; whether the receiver is there."""
        reply = await self._try(one.key, one.body)
        if reply.outcome == "away":
            await self._spill()
            return False
        async with self._turn:
            if one.spooled and self._spool is not None:
                await asyncio.to_thread(self._spool.acknowledge, self.name, one.key)
            else:
                self._held.popleft()
        if reply.outcome == "delivered":
            one.done()
        else:
            one.fail(self.trouble)
        return True

    async def _send_spooled(self) -> bool:
        """Send the first record in the spool; whether the receiver is there."""
        if self._spool is None:
            return False
        async with self._turn:
            item = await asyncio.to_thread(self._spool.next, self.name)
            self._backlog = item is not None
        if item is None:
            return True
        reply = await self._try(item.key, item.body)
        if reply.outcome == "away":
            return False
        await asyncio.to_thread(self._spool.acknowledge, self.name, item.key)
        return True

    async def _try(self, key: str, body: bytes) -> Reply:
        try:
            reply = await self._send(key, body)
        except Exception as error:  # a record must not be lost, nor delivery end, by a mistake of ours
            reply = Reply("away", f"{type(error).__name__}: {error}")
        if reply.outcome != "away":
            self._records.labels(sink=self.name, outcome=reply.outcome).inc()
        what = {"delivered": "", "away": "not delivered", "refused": f"the record {key} was refused"}[reply.outcome]
        self.trouble = what and f"sink {self.name}: {what}, {reply.reason}"
        return reply

    async def _spill(self) -> None:
        """Put what is in memory into the spool, as far as that takes it."""
        if self._spool is None:
            return
        async with self._turn:
            while self._held and await self._store(self._held[0]):
                self._held.popleft()

    async def _store(self, one: Held) -> bool:
        """Put a record into the spool; the turn is the caller's."""
        if self._spool is None or not await asyncio.to_thread(self._spool.put, self.name, one.key, one.body):
            return False
        self._records.labels(sink=self.name, outcome="spooled").inc()
        self._backlog = one.spooled = True
        self._wake.set()
        one.done()
        return True

    def _lose(self, one: Held, why: str) -> None:
        self._records.labels(sink=self.name, outcome="lost").inc()
        one.fail(f"sink {self.name}: {why}, the record {one.key} is lost")


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    """Until it is set, which is then forgotten, or so long."""
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except asyncio.TimeoutError:
        return
    event.clear()
