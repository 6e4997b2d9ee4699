"""Tests of edge_runtime.daemon.sinks.delivery."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from edge_runtime.daemon.sinks import delivery
from edge_runtime.daemon.sinks.delivery import HELD, Delivery, Reply
from edge_runtime.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_runtime.daemon.metrics import Metrics
    from edge_runtime.transport.spool import Spool


class Receiver:
    """Takes what is sent, or not: ``reply`` is what it says, while ``slow`` is set it says nothing."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.reply = Reply("delivered")
        self.slow = asyncio.Event()
        self._changed = asyncio.Condition()

    async def take(self, key: str, body: bytes) -> Reply:
        """As a sink's own sending does."""
        assert key in body.decode() or key.endswith("/revision")
        async with self._changed:
            self.keys.append(key)
            self._changed.notify_all()
        while self.slow.is_set():
            await asyncio.sleep(0.001)
        return self.reply

    async def has(self, count: int) -> None:
        """Wait until so many were sent."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: len(self.keys) >= count), 10)


@asynccontextmanager
async def delivering(receiver: Receiver, spool: Spool | None, metrics: Metrics) -> AsyncIterator[Delivery]:
    """Delivery to a receiver, closed at the end."""
    started = Delivery("hook", receiver.take, spool, metrics)
    started.start()
    try:
        yield started
    finally:
        await started.close()


async def empty(spool: Spool) -> None:
    """Wait until nothing is left in the spool."""
    while spool.items:
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def _times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_REST_S", 0.01)
    monkeypatch.setattr(delivery, "LONGEST_REST_S", 0.05)
    monkeypatch.setattr(delivery, "PATIENCE_S", 10)


def test_a_quick_receiver_spares_the_disk(spool, record, metrics, outcomes):
    """What is delivered at once is never written down; a revision has a key of its own."""

    async def run() -> list[str]:
        receiver = Receiver()
        async with delivering(receiver, spool, metrics) as sink:
            await sink.put(record("one"))
            await sink.put(record("one", revises=True))
        return receiver.keys

    assert asyncio.run(run()) == ["one", "one/revision"]
    assert outcomes() == {"delivered": 2}


def test_a_slow_receiver_holds_nobody_up(monkeypatch, spool, record, metrics, outcomes):
    """A record that is long under way is on disk meanwhile, those after it too, and each is sent once."""
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.01)

    async def run() -> tuple[int, list[str]]:
        receiver = Receiver()
        receiver.slow.set()
        async with delivering(receiver, spool, metrics) as sink:
            for key in "abc":
                await sink.put(record(key))
            spooled = spool.items
            receiver.slow.clear()
            await asyncio.wait_for(empty(spool), 10)
        return spooled, receiver.keys

    assert asyncio.run(run()) == (3, ["a", "b", "c"])
    assert outcomes() == {"delivered": 3, "spooled": 3}


def test_an_absent_receiver_gets_everything_later(spool, record, metrics, outcomes):
    """In order, what an earlier run left first; and what is wrong is said until it is not."""
    spool.put("hook", "left", b'{"key":"left"}')
    spool.put("other", "not ours", b"")

    async def run() -> tuple[str, str, list[str]]:
        receiver = Receiver()
        receiver.reply = Reply("away", "http://there: not there")
        async with delivering(receiver, spool, metrics) as sink:
            for key in "abc":
                await sink.put(record(key))
            await receiver.has(3)
            trouble = sink.trouble
            tries = len(receiver.keys)
            receiver.reply = Reply("delivered")
            await receiver.has(tries + 4)
            await sink.put(record("d"))
            await receiver.has(tries + 5)
            while spool.items > 1:
                await asyncio.sleep(0.001)
            return trouble, sink.trouble, receiver.keys

    trouble, after, keys = asyncio.run(run())
    assert (trouble, after) == ("sink hook: not delivered, http://there: not there", "")
    assert set(keys[:-4]) == {"left"}
    assert keys[-5:] == ["left", "a", "b", "c", "d"]
    assert outcomes()["delivered"] == 5
    assert set(spool.waiting) == {"other"}


@pytest.mark.parametrize("slow", [False, True])
def test_what_is_refused_is_not_sent_again(monkeypatch, spool, record, metrics, outcomes, slow):
    """Whoever put it learns it, if still there; the next record is sent."""
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.01 if slow else 10)

    async def run() -> list[str]:
        receiver = Receiver()
        receiver.reply = Reply("refused", "http://there: HTTP status 400")
        if slow:
            receiver.slow.set()
        async with delivering(receiver, spool, metrics) as sink:
            if slow:
                await sink.put(record("one"))
                receiver.slow.clear()
                await asyncio.wait_for(empty(spool), 10)
                assert sink.trouble == "sink hook: the record one was refused, http://there: HTTP status 400"
            else:
                with pytest.raises(SinkError, match=r"the record one was refused, http://there: HTTP status 400$"):
                    await sink.put(record("one"))
            receiver.reply = Reply("delivered")
            await sink.put(record("two"))
            await asyncio.wait_for(empty(spool), 10)
            assert sink.trouble == ""
        return receiver.keys

    assert asyncio.run(run()) == ["one", "two"]
    assert outcomes().items() >= {"refused": 1, "delivered": 1}.items()
    assert ("spooled" in outcomes()) == slow


def test_without_a_spool_records_wait_in_memory(record, metrics, outcomes):
    """As many as there is room for; further ones are lost, and each says so."""

    async def run() -> list[str]:
        receiver = Receiver()
        receiver.slow.set()
        async with delivering(receiver, None, metrics) as sink:
            for number in range(HELD):
                await sink.put(record(number))
            with pytest.raises(SinkError, match=r"^sink hook: 256 records wait already, the record more is lost$"):
                await sink.put(record("more"))
            receiver.slow.clear()
            await receiver.has(HELD)
        return receiver.keys

    assert asyncio.run(run()) == [str(number) for number in range(HELD)]
    assert outcomes() == {"delivered": HELD, "lost": 1}


def test_without_a_spool_an_absent_receiver_is_tried_again(record, metrics, outcomes):
    """What waits in memory is delivered in order, too."""

    async def run() -> list[str]:
        receiver = Receiver()
        receiver.reply = Reply("away", "not there")
        async with delivering(receiver, None, metrics) as sink:
            for key in "ab":
                await sink.put(record(key))
            await receiver.has(3)
            receiver.reply = Reply("delivered")
            tries = len(receiver.keys)
            await receiver.has(tries + 2)
        return receiver.keys

    keys = asyncio.run(run())
    assert keys[-2:] == ["a", "b"]
    assert set(keys[:-2]) == {"a"}
    assert outcomes() == {"delivered": 2}


def test_a_spool_that_takes_nothing_is_no_loss(monkeypatch, spool, record, metrics, outcomes):
    """Records wait in memory then, and are delivered when the receiver is back."""
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.01)
    spool.close()

    async def run() -> list[str]:
        receiver = Receiver()
        receiver.reply = Reply("away", "not there")
        async with delivering(receiver, spool, metrics) as sink:
            for key in "ab":
                await sink.put(record(key))
            receiver.reply = Reply("delivered")
            tries = len(receiver.keys)
            await receiver.has(tries + 2)
        return receiver.keys

    assert asyncio.run(run())[-2:] == ["a", "b"]
    assert outcomes() == {"delivered": 2}


def test_closing_waits_for_what_is_under_way(monkeypatch, spool, record, metrics, outcomes):
    """A receiver that answers within a second gets each record once."""
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.01)

    async def run() -> list[str]:
        receiver = Receiver()
        receiver.slow.set()
        async with delivering(receiver, spool, metrics) as sink:
            await sink.put(record("one"))
            asyncio.get_running_loop().call_later(0.05, receiver.slow.clear)
        return receiver.keys

    assert asyncio.run(run()) == ["one"]
    assert spool.items == 0
    assert outcomes() == {"delivered": 1, "spooled": 1}


def test_closing_spools_what_is_not_delivered(monkeypatch, spool, record, metrics):
    """Nothing is left behind in memory, in order, and an absent receiver is not waited for."""
    monkeypatch.setattr(delivery, "CLOSING_S", 0.05)

    async def run() -> list[str]:
        receiver = Receiver()
        receiver.slow.set()
        async with delivering(receiver, spool, metrics) as sink:
            putting = [asyncio.create_task(sink.put(record(key))) for key in "abc"]
            await receiver.has(1)
        await asyncio.gather(*putting)
        return receiver.keys

    assert asyncio.run(run()) == ["a"]
    found, item = [], None
    while item := spool.next("hook", after=item):
        found.append(item.key)
    assert found == ["a", "b", "c"]


def test_closing_without_a_spool_counts_the_loss(monkeypatch, record, metrics, outcomes):
    """What nobody took is lost, and said to be."""
    monkeypatch.setattr(delivery, "CLOSING_S", 0.05)

    async def run() -> None:
        receiver = Receiver()
        receiver.slow.set()
        async with delivering(receiver, None, metrics) as sink:
            await sink.put(record("one"))
            await receiver.has(1)

    asyncio.run(run())
    assert outcomes() == {"lost": 1}


def test_a_mistake_of_ours_loses_nothing(spool, record, metrics, outcomes):
    """An error that nobody foresaw is told, and the record tried again."""

    async def run() -> str:
        async def fail(_key: str, _body: bytes) -> Reply:
            raise KeyError("surprise")

        sink = Delivery("hook", fail, spool, metrics)
        sink.start()
        await sink.put(record("one"))
        await sink.close()
        return sink.trouble

    assert asyncio.run(run()) == "sink hook: not delivered, KeyError: 'surprise'"
    assert spool.items == 1
    assert outcomes() == {"spooled": 1}


def test_hurry_ends_a_rest(monkeypatch, spool, record, metrics):
    """Who knows that the receiver is back need not wait."""
    monkeypatch.setattr(delivery, "FIRST_REST_S", 60)
    monkeypatch.setattr(delivery, "LONGEST_REST_S", 60)

    async def run() -> list[str]:
        receiver = Receiver()
        receiver.reply = Reply("away", "not there")
        async with delivering(receiver, spool, metrics) as sink:
            await sink.put(record("one"))
            receiver.reply = Reply("delivered")
            sink.hurry()
            await receiver.has(2)
            await asyncio.wait_for(empty(spool), 10)
        return receiver.keys

    assert asyncio.run(run()) == ["one", "one"]
