"""The audit: a small share of the device's own sure answers is held against the server's.

A gate that is sure and wrong sends nothing, so nobody would ever know; this is how the daemon finds out. The frame is
sent whole, after its answer was given, so an audit costs bytes and never time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge_runtime.daemon.answering import drive
from edge_runtime.errors import LinkError

if TYPE_CHECKING:
    from concurrent.futures import Executor as Threads

    from edge_runtime.daemon.link import Link
    from edge_runtime.daemon.tally import AuditOutcome, Tally
    from edge_runtime.messages import Answer, Frame, Reply, Request
    from edge_runtime.systems.remote import Remote

# A server that is slow to answer an audit is no reason to keep the frame for longer.
PATIENCE_S = 10.0
# Ten tenths are a little less than one.
ROUNDING = 1e-9


class Audit:
    """Asks the server about every so manieth sure answer: ``share`` of them, evenly spaced, one at a time."""

    def __init__(self, share: float, remote: Remote, link: Link, threads: Threads, tally: Tally) -> None:
        self._share, self._remote, self._link, self._threads, self._tally = share, remote, link, threads, tally
        self._owed = 0.0
        self._task: asyncio.Task[None] | None = None

    def offer(self, frame: Frame, answer: Answer) -> None:
        """Hold an answer against the server's if it is one's turn; returns at once."""
        if answer.decided_by != "edge":
            return
        self._owed += self._share
        if self._owed < 1.0 - ROUNDING:
            return
        if self._task is not None or self._link.breaker != "closed":
            # One is owed, not skipped; a link that was away for long is not to be filled with all that were.
            self._owed = min(self._owed, 1.0)
            return
        self._owed -= 1.0
        self._task = asyncio.create_task(self._ask(frame, answer.label))

    async def close(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ask(self, frame: Frame, label: int) -> None:
        async def call(request: Request) -> Reply:
            return await self._link.call(request, PATIENCE_S)

        outcome: AuditOutcome = "lost"
        try:
            answer = await drive(self._remote.infer(frame), call, self._threads)
            outcome = "agreed" if answer.label == label else "disagreed"
        except LinkError:
            pass
        finally:
            self._tally.audited(outcome)
            self._task = None
