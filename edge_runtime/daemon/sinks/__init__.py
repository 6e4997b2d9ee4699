"""Sinks: where the records of answered frames go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edge_runtime.daemon.frames import Record


class Sink(Protocol):
    """Whatever takes records; used by one event loop, by several tasks at once."""

    name: str

    @property
    def trouble(self) -> str:
        """Why records are not taken at the moment; empty while all is well."""

    async def start(self) -> None:
        """Open what it needs; raises SinkError for what no later try would mend."""

    async def put(self, record: Record) -> None:
        """Take a record; returns once it is as safe as this sink makes it. Counts what is lost and raises SinkError."""

    async def close(self) -> None:
        """Write out what is held, and let go."""
