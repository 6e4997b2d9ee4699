"""Questions that are kept, and asked when the server is back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from edge_runtime.codecs import image
from edge_runtime.daemon import config
from edge_runtime.daemon.later import Later
from edge_runtime.daemon.link import ServerLink
from edge_runtime.messages import Payload, Request
from edge_runtime.transport.shaper import Shaper
from edge_runtime.transport.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.daemon.frames import Record
    from edge_runtime.models import Bundle

pytestmark = pytest.mark.host  # a server's large models

LANE = "ask:gate"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty spool."""
    with Spool(tmp_path / "spool.db", 1 << 20, 60.0, "oldest") as opened:
        yield opened


@pytest.fixture
def lost(grey: NDArray[np.uint8]) -> Request:
    """A whole frame that was to be sent."""
    return Request("remote", 1, (Payload("image", image.encode(grey)),))


def asking(
    bundle: Bundle,
    server: str,
    spool: Spool,
    deliver: Callable[[Record], Awaitable[None]],
    test: Callable[[Later, ServerLink], Awaitable[None]],
) -> None:
    """Run a test of a source's questions to a server."""

    async def run() -> None:
        link = ServerLink(config.Link(server=server, probe_first_ms=1, probe_longest_ms=1), bundle.hash, losses=1)
        try:
            await test(Later(spool, link, bundle.classes, "gate", deliver), link)
        finally:
            link.close()

    asyncio.run(run())


async def until_empty(later: Later, spool: Spool) -> None:
    """Ask until nothing waits."""
    task = asyncio.create_task(later.run())
    while spool.items:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_question_is_asked_when_the_server_is_back(
    zoo: Bundle, zoo_server: str, spool: Spool, lost: Request, one_record: Record
) -> None:
    """Its answer is the record again, under the same key, with the server's label."""
    delivered: list[Record] = []

    async def deliver(record: Record) -> None:
        assert spool.items == 1  # it is deleted only once it is delivered
        delivered.append(record)

    async def test(later: Later, link: ServerLink) -> None:
        shaper.silence()
        link.client.breaker.failed()
        await later.keep(one_record, lost)
        task = asyncio.create_task(later.run())
        while link.breaker != "half-open":
            await asyncio.sleep(0.001)
        assert (delivered, spool.items) == ([], 1)
        shaper.resume()
        while spool.items:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with Shaper(zoo_server) as shaper:
        asking(zoo, shaper.address, spool, deliver, test)
    (record,) = delivered
    assert (record.key, record.revises, record.decided_by) == (one_record.key, True, "server")
    assert record.label in zoo.classes
    assert 0.1 <= record.probability <= 1
    assert record.why == "asked later, server had said church"
    assert (record.name, record.captured) == (one_record.name, one_record.captured)


def test_a_crash_between_delivery_and_deletion_delivers_twice_and_not_never(
    zoo: Bundle, zoo_server: str, spool: Spool, lost: Request, one_record: Record
) -> None:
    """A delivery that does not come back leaves the question where it was."""
    delivered: list[Record] = []

    async def deliver(record: Record) -> None:
        delivered.append(record)
        if len(delivered) == 1:
            raise asyncio.CancelledError

    async def test(later: Later, _: ServerLink) -> None:
        await later.keep(one_record, lost)
        with pytest.raises(asyncio.CancelledError):
            await later.run()
        assert spool.items == 1
        await until_empty(later, spool)

    asking(zoo, zoo_server, spool, deliver, test)
    assert [record.key for record in delivered] == [one_record.key] * 2


def test_what_can_never_be_answered_is_given_up(
    zoo: Bundle, zoo_server: str, spool: Spool, lost: Request, one_record: Record
) -> None:
    """Garbage in the spool, and what the server refuses; the good question behind it is asked."""
    delivered: list[Record] = []

    async def deliver(record: Record) -> None:
        delivered.append(record)

    async def test(later: Later, _: ServerLink) -> None:
        spool.put(LANE, "garbage", b"\xff\x00")
        spool.put(LANE, "of another version", b"\x91\x01")
        await later.keep(_keyed(one_record, "refused"), Request("remote", 1, (Payload("image", b"no picture"),)))
        await later.keep(_keyed(one_record, "unknown"), Request("remote", 1, lost.payloads, "nobody"))
        await later.keep(_keyed(one_record, "good"), lost)
        await until_empty(later, spool)

    with capture_logs() as logs:
        asking(zoo, zoo_server, spool, deliver, test)
    assert [one["key"] for one in logs] == ["garbage", "of another version", "refused", "unknown"]
    assert {one["log_level"] for one in logs} == {"warning"}
    assert [record.key for record in delivered] == ["good"]


def test_what_only_the_server_that_asked_could_read_is_not_kept(
    zoo: Bundle, zoo_server: str, spool: Spool, one_record: Record
) -> None:
    """By then it has forgotten what it had seen."""

    async def deliver(_: Record) -> None:
        raise AssertionError

    async def test(later: Later, _: ServerLink) -> None:
        await later.keep(one_record, Request("amot", 1, (Payload("requested", b"patches"),)))

    asking(zoo, zoo_server, spool, deliver, test)
    assert spool.items == 0


def test_sources_do_not_answer_for_each_other(
    zoo: Bundle, zoo_server: str, spool: Spool, lost: Request, one_record: Record
) -> None:
    """Each has questions of its own in the spool that they share."""

    async def deliver(record: Record) -> None:
        delivered.append(record.key)

    async def test(later: Later, link: ServerLink) -> None:
        other = Later(spool, link, zoo.classes, "yard", deliver)
        await other.keep(_keyed(one_record, "of the yard"), lost)
        await later.keep(_keyed(one_record, "of the gate"), lost)
        task = asyncio.create_task(later.run())
        while spool.items > 1:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    delivered: list[str] = []
    asking(zoo, zoo_server, spool, deliver, test)
    assert delivered == ["of the gate"]
    assert spool.waiting.keys() == {"ask:yard"}


def _keyed(record: Record, key: str) -> Record:
    return msgspec.structs.replace(record, key=key)
