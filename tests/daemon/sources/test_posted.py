"""The source of posted photos."""

from __future__ import annotations

import asyncio

from edge_runtime.daemon import config
from edge_runtime.daemon.intake import Intake
from edge_runtime.daemon.sources.posted import Desk, Desks, Posted


def settings(name: str, deadline_ms: float = 250) -> config.Posted:
    """Of a source that the device answers alone."""
    return config.Posted(name=name, system=config.Local(), deadline_ms=deadline_ms)


def intake() -> Intake:
    """A queue."""
    return Intake(4, "oldest", "drop-newest", None, lambda _: None)


def test_a_desk_is_open_while_its_source_runs() -> None:
    """It has the source's queue and deadline, and is gone when the source was cancelled."""

    async def scenario() -> None:
        desks, queue = Desks(), intake()
        running = asyncio.create_task(Posted(settings("gate"), desks).run(queue))
        await asyncio.sleep(0)
        assert desks.find("gate") == Desk(queue, 0.25)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert desks.find("gate") is None

    asyncio.run(scenario())


def test_without_a_name_the_only_desk_is_meant() -> None:
    """With none, or with two, nobody can say which."""

    async def scenario() -> None:
        desks, (one, other) = Desks(), (Desk(intake(), 1.0), Desk(intake(), 1.0))
        assert desks.find(None) is None
        desks.open("one", one)
        assert desks.find(None) is one
        desks.open("other", other)
        assert desks.find(None) is None
        assert desks.find("other") is other

    asyncio.run(scenario())


def test_a_desk_that_took_over_stays_open() -> None:
    """When a source is replaced by one of the same name, the old one's end does not close the new one's desk."""

    async def scenario() -> None:
        desks, (old, new) = Desks(), (Desk(intake(), 1.0), Desk(intake(), 1.0))
        desks.open("gate", old)
        desks.open("gate", new)
        desks.close("gate", old)
        assert desks.find("gate") is new

    asyncio.run(scenario())
