"""What the daemon is made of at the moment, and how it changes over to another configuration.

Whatever can fail is made before anything is stopped, so that a configuration that cannot work changes nothing. What it
leaves as it was goes on undisturbed: tables are compared by value, bundles by their hash.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_runtime.daemon.config import Config, Posted
from edge_runtime.daemon.lane import Lane
from edge_runtime.daemon.outlet import Outlet
from edge_runtime.daemon.recent import Recent
from edge_runtime.daemon.sinks.opening import open_sink
from edge_runtime.daemon.sources.opening import open_source, when_full
from edge_runtime.daemon.sources.posted import Desks
from edge_runtime.daemon.systems import Shelf, open_system
from edge_runtime.daemon.tally import Tally
from edge_runtime.daemon.web import Web
from edge_runtime.errors import ConfigError
from edge_runtime.models import Bundle
from edge_runtime.transport.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_runtime.daemon import config
    from edge_runtime.daemon.health import Health
    from edge_runtime.daemon.metrics import Metrics
    from edge_runtime.daemon.state import State

# Tables that others are built upon from the start.
FIXED = ("http", "spool")


class _Made(NamedTuple):
    """A lane, and all of the configuration that it was made from."""

    origin: tuple[Any, ...]
    lane: Lane


class Assembly:
    """Sources, systems and sinks of one configuration, with the spool and the local port; of one event loop.

    ``state`` is what the port shows.
    """

    def __init__(self, metrics: Metrics, health: Health, state: Callable[[], State]) -> None:
        self._metrics, self._health, self._state = metrics, health, state
        self.models = ThreadPoolExecutor(1, "models")
        self._eyes = ThreadPoolExecutor(1, "eyes")
        self._shelf, self._desks, self._recent = Shelf(), Desks(), Recent(0)
        self._config: Config | None = None
        self._made: dict[str, _Made] = {}
        self._outlets: dict[str, tuple[config.Sink, Outlet]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self.spool: Spool | None = None
        self.web: Web | None = None

    @property
    def lanes(self) -> list[Lane]:
        """One per source, in the configuration's order."""
        return [made.lane for made in self._made.values()]

    async def change(self, new: Config) -> None:
        """Become what a configuration says; where that raises, nothing has changed."""
        async with AsyncExitStack() as undo:
            if self._config is None:
                await self._found(new, undo)
            else:
                _check_fixed(self._config, new)
            outlets = {sink.name: await self._outlet(sink, undo) for sink in new.sink}
            made = {source.name: await self._lane(source, new, outlets, undo) for source in new.source}
            undo.pop_all()
        self._config = new
        replaced = [old.lane for name, old in self._made.items() if made.get(name) is not old]
        started = [one.lane for name, one in made.items() if self._made.get(name) is not one]
        surplus = [old for name, (_, old) in self._outlets.items() if outlets.get(name, (None, None))[1] is not old]
        self._made, self._outlets = made, outlets
        await _change_over(replaced, started)
        self._retire(replaced, surplus)

    async def close(self) -> None:
        """Answer what was captured, write out what is held, let go of everything."""
        await asyncio.gather(*(lane.stop_feeding() for lane in self.lanes))
        self._retire(self.lanes, [outlet for _, outlet in self._outlets.values()])
        await asyncio.gather(*self._retiring)
        if self.web:
            await self.web.close()
        if self.spool:
            await asyncio.to_thread(self.spool.close)
        self.models.shutdown()
        self._eyes.shutdown()

    async def _found(self, new: Config, undo: AsyncExitStack) -> None:
        """What stays as it is for as long as the daemon runs."""
        self._recent = Recent(new.http.page_frames)
        if new.spool:
            table = new.spool
            table.path.parent.mkdir(parents=True, exist_ok=True)
            self.spool = await asyncio.to_thread(Spool, table.path, table.max_bytes, table.max_age_s, table.order)
            undo.callback(self.spool.close)
        if new.http.listen:
            self.web = Web(new.http, self._desks, self._metrics, self._recent, self._health, self._state)
            await self.web.start()
            undo.push_async_callback(self.web.close)

    async def _outlet(self, sink: config.Sink, undo: AsyncExitStack) -> tuple[config.Sink, Outlet]:
        known = self._outlets.get(sink.name)
        if known and known[0] == sink:
            return known
        outlet = Outlet(open_sink(sink, self.spool, self._metrics), self._health)
        undo.push_async_callback(outlet.close)
        await outlet.sink.start()
        return sink, outlet

    async def _lane(
        self,
        source: config.Source,
        new: Config,
        outlets: dict[str, tuple[config.Sink, Outlet]],
        undo: AsyncExitStack,
    ) -> _Made:
        used = [outlets[name] for name in (outlets if source.sinks is None else source.sinks)]
        origin = source, new.models, new.link, _bundle_hashes(source, new), [sink for sink, _ in used]
        known = self._made.get(source.name)
        if known and known.origin == origin:
            return known
        captures = open_source(source, self._desks)
        system = await open_system(source, new, self._shelf, self.models)
        undo.push_async_callback(asyncio.to_thread, system.close)
        lane = Lane(
            source,
            when_full(source),
            captures,
            system,
            [outlet for _, outlet in used],
            Tally(source.name, self._metrics),
            self._recent,
            self.spool,
            self._eyes,
        )
        return _Made(origin, lane)

    def _retire(self, lanes: Iterable[Lane], outlets: Iterable[Outlet]) -> None:
        """Let lanes finish what they captured, then close the sinks that only they used."""

        async def finish() -> None:
            await asyncio.gather(*(lane.drain() for lane in lanes))
            await asyncio.gather(*(outlet.close() for outlet in outlets))

        task = asyncio.create_task(finish())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


def _check_fixed(old: Config, new: Config) -> None:
    for table in FIXED:
        if getattr(old, table) != getattr(new, table):
            raise ConfigError(f"{table}: cannot change while the daemon runs; restart it")


def _bundle_hashes(source: config.Source, new: Config) -> list[str]:
    return [Bundle.load(folder).hash for folder in (source.bundle or new.bundle, source.fallback) if folder]


async def _change_over(replaced: list[Lane], started: list[Lane]) -> None:
    """Stop the old lanes' sources and start the new ones.

    A desk can be taken over while it is open, so that no request comes to a closed one. Two sources on one folder or
    camera would both capture the same.
    """
    posted = [lane for lane in started if isinstance(lane.settings, Posted)]
    for lane in posted:
        lane.start()
    await asyncio.gather(*(lane.stop_feeding() for lane in replaced))
    for lane in started:
        if lane not in posted:
            lane.start()
