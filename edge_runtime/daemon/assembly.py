"""What the daemon is made of at the moment, and how it changes over to another configuration.

Whatever can fail is made before anything is stopped, so that a configuration that cannot work changes nothing. What it
leaves as it was goes on undisturbed: tables are compared by value, bundles by their hash.
"""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_runtime.daemon.config import Config, Posted
from edge_runtime.daemon.lane import Lane
from edge_runtime.daemon.recent import Recent
from edge_runtime.daemon.shelf import Shelf
from edge_runtime.daemon.sinks.opening import open_sink
from edge_runtime.daemon.sources.folder import Taken
from edge_runtime.daemon.sources.opening import open_source, when_full
from edge_runtime.daemon.sources.posted import Desks
from edge_runtime.daemon.systems import open_system
from edge_runtime.daemon.tally import Tally
from edge_runtime.daemon.web import Web
from edge_runtime.errors import ConfigError, SpoolError
from edge_runtime.models import Bundle
from edge_runtime.transport.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_runtime.daemon import config
    from edge_runtime.daemon.health import Health
    from edge_runtime.daemon.metrics import Metrics
    from edge_runtime.daemon.sinks import Sink
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
        self._taken: Taken = {}
        self._config: Config | None = None
        self._made: dict[str, _Made] = {}
        self._sinks: dict[str, tuple[config.Sink, Sink]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self.spool: Spool | None = None
        self.web: Web | None = None

    @property
    def lanes(self) -> list[Lane]:
        """One per source, in the configuration's order."""
        return [made.lane for made in self._made.values()]

    @property
    def sinks(self) -> list[Sink]:
        """All of the configuration's."""
        return [sink for _, sink in self._sinks.values()]

    async def change(self, new: Config) -> None:
        """Become what a configuration says; where that raises, nothing has changed."""
        async with AsyncExitStack() as undo:
            if self._config is None:
                await self._found(new, undo)
            else:
                _check_fixed(self._config, new)
            sinks = {table.name: await self._sink(table, undo) for table in new.sink}
            made = {table.name: await self._lane(table, new, sinks, undo) for table in new.source}
            undo.pop_all()
        self._config = new
        replaced = [old.lane for name, old in self._made.items() if made.get(name) is not old]
        started = [one.lane for name, one in made.items() if self._made.get(name) is not one]
        surplus = [old for name, (_, old) in self._sinks.items() if sinks.get(name, (None, None))[1] is not old]
        self._made, self._sinks = made, sinks
        await _change_over(replaced, started)
        self._retire(replaced, surplus)

    async def close(self) -> None:
        """Answer what was captured, write out what is held, let go of everything."""
        await asyncio.gather(*(lane.stop_feeding() for lane in self.lanes))
        self._retire(self.lanes, self.sinks)
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
            try:
                table.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SpoolError(f"spool: {table.path.parent} cannot be made: {error.strerror}") from error
            self.spool = await asyncio.to_thread(Spool, table.path, table.max_bytes, table.max_age_s, table.order)
            undo.callback(self.spool.close)
        if new.http.listen:
            self.web = Web(new.http, self._desks, self._metrics, self._recent, self._health, self._state)
            await self.web.start()
            undo.push_async_callback(self.web.close)

    async def _sink(self, table: config.Sink, undo: AsyncExitStack) -> tuple[config.Sink, Sink]:
        known = self._sinks.get(table.name)
        if known and known[0] == table:
            return known
        sink = open_sink(table, self.spool, self._metrics)
        undo.push_async_callback(sink.close)
        await sink.start()
        return table, sink

    async def _lane(
        self,
        source: config.Source,
        new: Config,
        sinks: dict[str, tuple[config.Sink, Sink]],
        undo: AsyncExitStack,
    ) -> _Made:
        used = [sinks[name] for name in (sinks if source.sinks is None else source.sinks)]
        origin = source, new.models, new.link, _bundle_hashes(source, new), [table for table, _ in used]
        known = self._made.get(source.name)
        if known and known.origin == origin:
            return known
        captures = open_source(source, self._desks, self._taken)
        system = await open_system(source, new, self._shelf, self.models)
        undo.push_async_callback(asyncio.to_thread, system.close)
        lane = Lane(
            source,
            when_full(source),
            captures,
            system,
            [sink for _, sink in used],
            Tally(source.name, self._metrics),
            self._recent,
            self.spool,
            self._eyes,
        )
        return _Made(origin, lane)

    def _retire(self, lanes: Iterable[Lane], sinks: Iterable[Sink]) -> None:
        """Let lanes finish what they captured, then close the sinks that only they used."""

        async def finish() -> None:
            await asyncio.gather(*(lane.drain() for lane in lanes))
            await asyncio.gather(*(sink.close() for sink in sinks))
            # Lanes and their buffers refer to each other: left to itself Python would keep a few hundred of them.
            gc.collect()

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
    """Stop the old lanes' sources and start the new ones; returns when no frame escapes those.

    A desk can be taken over while it is open, so that no request comes to a closed one. Two sources on one folder or
    camera would both capture the same.
    """
    posted = [lane for lane in started if isinstance(lane.settings, Posted)]
    await asyncio.gather(*(lane.start() for lane in posted))
    await asyncio.gather(*(lane.stop_feeding() for lane in replaced))
    await asyncio.gather(*(lane.start() for lane in started if lane not in posted))
