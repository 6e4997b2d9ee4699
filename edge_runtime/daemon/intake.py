"""A source's queue: bounded, in the order that was asked for, and with every frame that it gives up counted."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from edge_runtime.daemon.frames import Dropped

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.daemon.config import Order, WhenFull
    from edge_runtime.daemon.frames import Captured, DropReason


class Intake:
    """At most ``capacity`` frames that wait, between a source and those who answer; of one event loop.

    ``order`` says which waiting frame is taken next, ``when_full`` what becomes of one more: it waits for room, takes
    the place of the oldest, or is dropped itself. ``max_fps`` spaces frames out in the same way: where frames may wait
    they wait for their turn, else one that comes too soon is dropped. ``dropped(reason)`` is told of each.
    """

    def __init__(
        self,
        capacity: int,
        order: Order,
        when_full: WhenFull,
        max_fps: float | None,
        dropped: Callable[[DropReason], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.capacity, self.order, self.when_full = capacity, order, when_full
        self._spacing_s = 1 / max_fps if max_fps else 0.0
        self._dropped, self._clock = dropped, clock
        self._next_s = 0.0
        self._waiting: deque[Captured] = deque()
        self._changed = asyncio.Condition()
        # Set by the source when no frame that comes from now on escapes it, and when it has ended.
        self.begun = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._waiting)

    async def turn(self) -> None:
        """Wait until a frame may come, where frames may wait; one that was captured sooner would age meanwhile."""
        if self.when_full == "wait":
            await asyncio.sleep(max(self._next_s - self._clock(), 0.0))
            async with self._changed:
                await self._changed.wait_for(lambda: self._has_room or self._closed)

    async def offer(self, captured: Captured) -> bool:
        """Queue a frame; False, its futures told, when it was dropped. Waits only where frames may wait."""
        if not await self._is_due():
            return self._drop(captured, "rate", f"came sooner than {self._spacing_s:.3f} s after the one before")
        async with self._changed:
            if self.when_full == "wait":
                await self._changed.wait_for(lambda: self._has_room or self._closed)
            if self._closed:
                return self._drop(captured, "stopped", "the source was stopped")
            if not self._has_room:
                if self.when_full == "drop-newest":
                    return self._drop(captured, "full", f"{self.capacity} frames wait already")
                self._drop(self._waiting.popleft(), "full", f"{self.capacity} newer frames came")
            self._waiting.append(captured)
            self._changed.notify_all()
            return True

    async def take(self) -> Captured | None:
        """The next frame, waiting for one; None once the intake is closed and empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            captured = self._waiting.popleft() if self.order == "oldest" else self._waiting.pop()
            self._changed.notify_all()
            return captured

    async def close(self) -> None:
        """Take no more frames; those that wait can still be taken."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def _has_room(self) -> bool:
        return len(self._waiting) < self.capacity

    async def _is_due(self) -> bool:
        """Whether a frame may come now; waits until it may, where frames may wait."""
        now = self._clock()
        if now < self._next_s and self.when_full != "wait":
            return False
        due_s = max(self._next_s, now)
        self._next_s = due_s + self._spacing_s
        if due_s > now:
            await asyncio.sleep(due_s - now)
        return True

    def _drop(self, captured: Captured, reason: DropReason, message: str) -> bool:
        self._dropped(reason)
        captured.fail(Dropped(reason, f"{captured.name}: not answered, {message}"))
        return False
