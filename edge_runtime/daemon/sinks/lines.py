"""Sinks that write a record as a line and are done with it."""

from __future__ import annotations

import asyncio
import errno
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from edge_runtime.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.daemon.frames import Record
    from edge_runtime.daemon.metrics import Metrics

# What waiting may mend.
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class Lines(Protocol):
    """Where lines go; all of it is called in one thread, and raises OSError."""

    where: str

    def open(self) -> None:
        """Have what is needed to append."""

    def append(self, line: bytes) -> None:
        """Write one, its end included, or nothing of it."""

    def close(self) -> None:
        """Let go; nothing is held back."""


class LineSink:
    """One writer for all who put; ``trouble`` says why the last record was lost, if it was."""

    def __init__(self, name: str, lines: Lines, metrics: Metrics) -> None:
        self.name = name
        self.trouble = ""
        self._lines = lines
        self._records = metrics.records
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"sink-{name}")

    async def start(self) -> None:
        """Open; a full disk may be one with room by the time of the first record."""
        try:
            await self._write(self._lines.open)
        except OSError as error:
            if error.errno not in PASSING:
                raise SinkError(f"sink {self.name}: {self._lines.where} cannot be opened: {error.strerror}") from None

    async def put(self, record: Record) -> None:
        """Write a record, after those that came before."""
        try:
            await self._write(self._lines.append, record.to_json() + b"\n")
        except OSError as error:
            self._records.labels(sink=self.name, outcome="lost").inc()
            self.trouble = f"sink {self.name}: {self._lines.where}: {error.strerror}; the record {record.key} is lost"
            raise SinkError(self.trouble) from None
        self._records.labels(sink=self.name, outcome="written").inc()
        self.trouble = ""

    async def close(self) -> None:
        """Write what still waits for its turn, and let go."""
        await self._write(self._lines.close)
        self._writer.shutdown()

    def _write(self, call: Callable[..., None], *lines: bytes) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._writer, call, *lines)
