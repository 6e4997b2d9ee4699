"""The daemon itself: starts what the configuration says, watches over it, reloads, and ends in order."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import datetime, timezone
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

import structlog

from edge_runtime import kernels
from edge_runtime.daemon import config_file, logs
from edge_runtime.daemon.assembly import Assembly
from edge_runtime.daemon.health import Health
from edge_runtime.daemon.metrics import Metrics
from edge_runtime.daemon.state import LinkState, SpoolState, State
from edge_runtime.errors import EdgeRuntimeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from edge_runtime.daemon.lane import Lane
    from edge_runtime.daemon.service_manager import ServiceManager

log = structlog.get_logger(__name__)

# How often the daemon looks at itself, and after how long without an end a model's step counts as stuck.
LOOK_S, STUCK_S = 0.25, 10.0
STATUS_S = 5.0
CONFIGURATION = "configuration"


class Daemon:
    """Runs until it is told to stop; ``path`` is the configuration's file, which ``environ`` may override."""

    def __init__(self, path: Path, environ: Mapping[str, str], manager: ServiceManager) -> None:
        self._path, self._environ, self._manager = path, environ, manager
        self.metrics, self.health = Metrics(), Health()
        self.assembly = Assembly(self.metrics, self.health, self.state)
        self._stop, self._hangup = asyncio.Event(), asyncio.Event()
        self._started, self._started_s = datetime.now(timezone.utc), time.monotonic()
        # Until the first look: the local port is open before anybody answers what comes there.
        self.health.report("start", "failed", "the daemon is starting")
        self._seen: set[str] = set()
        self._beat: tuple[float, Future[None]] | None = None

    async def run(self) -> None:
        """Start, say so, and go on until told to stop; raises what makes a start impossible."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._hangup.set)
        loaded = config_file.load(self._path, self._environ)
        self._log_as_told(loaded)
        try:
            await self.assembly.change(loaded.config)
            self._look()
            self._manager.ready(self._status())
            log.info("started", **self._addresses(), seconds=round(time.monotonic() - self._started_s, 3))
            await self._go_on()
        finally:
            self._manager.stopping()
            await self.assembly.close()
            log.info("stopped")

    def stop(self) -> None:
        """Answer what was captured, then end."""
        self._stop.set()

    def state(self) -> State:
        """How everything stands."""
        lanes = self.assembly.lanes
        backend = kernels.backend()
        return State(
            version=version("edge-runtime"),
            kernels=f"{backend.name}, {backend.isa}",
            started=self._started.isoformat(timespec="seconds"),
            uptime_s=time.monotonic() - self._started_s,
            level=self.health.level,
            conditions=self.health.conditions,
            links=_links(lanes),
            sources=[lane.state() for lane in lanes],
            spool=self._spool_state(),
        )

    def _log_as_told(self, loaded: config_file.Loaded) -> None:
        logs.configure(loaded.config.log, self._environ)
        for warning in loaded.warnings:
            log.warning("the configuration is odd", reason=warning)

    async def _go_on(self) -> None:
        """Look at everything again and again, and reload when told to, until told to stop."""
        told_s = status_s = 0.0
        stop = asyncio.create_task(self._stop.wait())
        reload: asyncio.Task[None] | None = None
        try:
            while not stop.done():
                due_s = time.monotonic() + LOOK_S
                await asyncio.wait([stop], timeout=LOOK_S)
                now = time.monotonic()
                self.metrics.loop_lag_seconds.set(max(now - due_s, 0.0))
                # Beside the looks, for models may take longer to load than the watchdog waits.
                if self._hangup.is_set() and (reload is None or reload.done()):
                    self._hangup.clear()
                    reload = asyncio.create_task(self._reload())
                self._look()
                # The watchdog hears only of a loop that turns and of models that come to an end.
                if self._manager.watchdog_s and self.health.live and now - told_s >= self._manager.watchdog_s:
                    self._manager.watchdog()
                    told_s = now
                if now - status_s >= STATUS_S:
                    self._manager.status(self._status())
                    status_s = now
        finally:
            stop.cancel()
            if reload:
                await reload

    async def _reload(self) -> None:
        self._manager.reloading()
        try:
            loaded = config_file.load(self._path, self._environ)
            await self.assembly.change(loaded.config)
        except Exception as error:
            self.metrics.reloads.labels("refused").inc()
            self.health.report(CONFIGURATION, "degraded", f"the old one is kept: {error}")
            ours = not isinstance(error, EdgeRuntimeError)
            log.error("the configuration is kept as it was", reason=str(error), exc_info=ours)
        else:
            self._log_as_told(loaded)
            self.metrics.reloads.labels("applied").inc()
            self.health.report(CONFIGURATION, "ok")
            log.info("the configuration was read again")
        self._manager.ready(self._status())

    # What is looked at.

    def _look(self) -> None:
        """Report on everything that there is, and forget what is there no more."""
        self._seen = {CONFIGURATION}
        self.metrics.loop_tasks.set(len(asyncio.all_tasks()))
        self._look_at_models(time.monotonic())
        for lane in self.assembly.lanes:
            self._look_at_link(lane)
            self._report(f"source {lane.settings.name}", "failed", lane.trouble)
            self._report(f"frames of {lane.settings.name}", "failed", lane.fault)
        for sink in self.assembly.sinks:
            self._report(f"sink {sink.name}", "degraded", sink.trouble)
        for link in _links(self.assembly.lanes):
            self.metrics.link_up.labels(link.server).set(link.breaker == "closed")
        spool = self.assembly.spool
        if spool:
            self._report("spool", "degraded", spool.trouble)
            self.metrics.follow_spool(spool)
        self.health.retain(self._seen)

    def _look_at_models(self, now: float) -> None:
        """Whether the models' thread comes to an end of what it does."""
        if self._beat is None or self._beat[1].done():
            self._beat = now, self.assembly.models.submit(_beat)
        busy_s = now - self._beat[0]
        self._report("models", "failed", f"a step takes {busy_s:.0f} s already" if busy_s > STUCK_S else "")

    def _look_at_link(self, lane: Lane) -> None:
        link = lane.system.link
        name = f"link of {lane.settings.name}"
        if not link.server or link.breaker == "closed":
            self._report(name, "degraded", link.refused)
        elif lane.system.own_answer:
            self._report(name, "degraded", f"{link.server} does not answer: the device answers alone")
        else:
            self._report(name, "failed", f"{link.server} does not answer, and nobody else can")

    def _report(self, name: str, level: Literal["degraded", "failed"], reason: str) -> None:
        """Report a condition that is fine without a reason, and log when it changes."""
        self._seen.add(name)
        if self.health.report(name, level if reason else "ok", reason):
            (log.warning if reason else log.info)(reason or "fine", condition=name)

    def _status(self) -> str:
        """One line for the service manager."""
        answers = sum(sum(lane.state().answers.values()) for lane in self.assembly.lanes)
        reasons = "; ".join(condition.reason for condition in self.health.conditions if condition.reason)
        return f"{self.health.level}, {answers} frames answered" + (f": {reasons}" if reasons else "")

    def _addresses(self) -> dict[str, str]:
        web = self.assembly.web
        return {"http": web.address} if web else {}

    def _spool_state(self) -> SpoolState | None:
        spool = self.assembly.spool
        if spool is None:
            return None
        return SpoolState(
            items=spool.items, bytes=spool.body_bytes, file_bytes=spool.file_bytes, max_bytes=spool.max_bytes
        )


def _beat() -> None:
    """Do nothing, in the models' thread, when it is its turn."""


def _links(lanes: list[Lane]) -> list[LinkState]:
    """One per server; where sources differ about one, the first that has lost it counts."""
    found: dict[str, LinkState] = {}
    for link in (lane.system.link for lane in lanes if lane.system.link.server):
        if link.server not in found or link.breaker != "closed":
            found[link.server] = LinkState(server=link.server, breaker=link.breaker)
    return list(found.values())
