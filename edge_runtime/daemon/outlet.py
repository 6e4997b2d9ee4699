"""What stands between a lane and a sink: a sink's trouble is reported, and never the frame's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from edge_runtime.errors import SinkError

if TYPE_CHECKING:
    from edge_runtime.daemon.frames import Record
    from edge_runtime.daemon.health import Health
    from edge_runtime.daemon.sinks import Sink

log = structlog.get_logger(__name__)


class Outlet:
    """One sink, as lanes use it."""

    def __init__(self, sink: Sink, health: Health) -> None:
        self.sink, self._health = sink, health
        self._condition = f"sink {sink.name}"

    async def put(self, record: Record) -> None:
        """Hand a record over; the sink has counted what it could not keep."""
        try:
            await self.sink.put(record)
        except SinkError as error:
            if self._health.report(self._condition, "degraded", str(error)):
                log.error("a sink loses records", sink=self.sink.name, reason=str(error))
        else:
            if self._health.report(self._condition, "ok"):
                log.info("a sink takes records", sink=self.sink.name)

    async def close(self) -> None:
        """Write out what the sink holds."""
        self._health.forget(self._condition)
        await self.sink.close()
