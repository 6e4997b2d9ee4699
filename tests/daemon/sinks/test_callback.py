"""Tests of edge_runtime.daemon.sinks.callback, with a real receiver."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiohttp import web

from edge_runtime.daemon import config
from edge_runtime.daemon.sinks import delivery
from edge_runtime.daemon.sinks.callback import CallbackSink
from edge_runtime.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_runtime.daemon.metrics import Metrics
    from edge_runtime.transport.spool import Spool


class Receiver:
    """A server that does with each post what is next in ``plan``, and 200 when nothing is.

    A number is the status it answers with; ``hang`` and ``cut`` leave the request without an answer.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.plan: list[int | str] = []
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.requests = 0
        self.bearer = ""
        self.port = 0
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}/answers"

    @property
    def keys(self) -> list[str]:
        """Of what it said it received, in that order."""
        return [key for key, _ in self.posts]

    async def start(self) -> None:
        """Be there, at the same port as before."""
        app = web.Application()
        app.router.add_post("/answers", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "localhost", self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Be away."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def has(self, count: int, requests: int = 0) -> None:
        """Wait until it has received so many, of so many requests."""
        async with self._changed:
            done = self._changed.wait_for(lambda: len(self.posts) >= count and self.requests >= requests)
            await asyncio.wait_for(done, 20)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert request.content_type == "application/json"
        async with self._changed:
            self.requests += 1
            self._changed.notify_all()
            if self.bearer and request.headers.get("Authorization") != f"Bearer {self.bearer}":
                return web.Response(status=401)
            act = self.plan.pop(0) if self.plan else 200
            if act in (200, 204, "cut"):
                self.posts.append((request.headers["Idempotency-Key"], body))
        if act == "hang":
            await asyncio.Event().wait()
        if act == "cut":
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=act if isinstance(act, int) else 200)


@asynccontextmanager
async def posting(
    receiver: Receiver, spool: Spool | None, metrics: Metrics, **keys: Any
) -> AsyncIterator[CallbackSink]:
    """A receiver, and a sink that posts to it; neither is left at the end."""
    await receiver.start()
    sink = CallbackSink(config.Callback(name="hook", url=receiver.url, **keys), spool, metrics)
    try:
        await sink.start()
        yield sink
    finally:
        await sink.close()
        await receiver.stop()


async def empty(spool: Spool) -> None:
    """Wait until nothing is left in the spool."""
    while spool.items:
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def _times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_REST_S", 0.02)
    monkeypatch.setattr(delivery, "LONGEST_REST_S", 0.1)
    monkeypatch.setattr(delivery, "PATIENCE_S", 10)


def test_a_record_is_posted(spool, record, metrics, outcomes):
    """As JSON under its key, over one connection, and any 2xx is a receipt."""

    async def run() -> Receiver:
        receiver = Receiver()
        receiver.plan = [204]
        async with posting(receiver, spool, metrics) as sink:
            await sink.put(record("one"))
            await sink.put(record("one", revises=True))
        return receiver

    receiver = asyncio.run(run())
    assert receiver.keys == ["one", "one/revision"]
    assert receiver.posts[0][1] == json.loads(record("one").to_json())
    assert outcomes() == {"delivered": 2}


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_refusal_is_for_good(spool, record, metrics, outcomes, status):
    """It is told to whoever put the record, and the next one is posted."""

    async def run() -> Receiver:
        receiver = Receiver()
        receiver.plan = [status]
        async with posting(receiver, spool, metrics) as sink:
            with pytest.raises(SinkError, match=rf"^sink hook: the record one was refused, .*: HTTP status {status}$"):
                await sink.put(record("one"))
            await sink.put(record("two"))
        return receiver

    assert asyncio.run(run()).keys == ["two"]
    assert outcomes() == {"refused": 1, "delivered": 1}


@pytest.mark.parametrize("status", [302, 401, 408, 425, 429, 500, 503])
def test_some_refusals_are_of_the_moment(spool, record, metrics, outcomes, status):
    """The record is kept and posted again; a portal's redirect is not followed."""

    async def run() -> Receiver:
        receiver = Receiver()
        receiver.plan = [status]
        async with posting(receiver, spool, metrics) as sink:
            await sink.put(record("one"))
            await asyncio.wait_for(empty(spool), 10)
        return receiver

    receiver = asyncio.run(run())
    assert (receiver.keys, receiver.requests) == (["one"], 2)
    assert outcomes() == {"spooled": 1, "delivered": 1}


def test_a_receiver_with_every_fault(spool, record, metrics, outcomes):
    """Each record is received, in order, and twice only if the connection was cut between receipt and answer."""
    faults: list[int | str] = [200, 503, "hang", 200, 429, "cut", 500, 200, "hang", "cut", 200, 502]

    async def run() -> Receiver:
        receiver = Receiver()
        receiver.plan = list(faults)
        async with posting(receiver, spool, metrics, timeout_ms=100) as sink:
            for number in range(30):
                await sink.put(record(number))
                if number == 10:
                    await receiver.has(6)
                    await receiver.stop()
                if number == 20:
                    await receiver.start()
            await asyncio.wait_for(empty(spool), 20)
            assert sink.trouble == ""
        return receiver

    counts = Counter(asyncio.run(run()).keys)
    assert list(counts) == [str(number) for number in range(30)]
    assert sorted(counts.values()) == [1] * 28 + [2] * 2
    assert outcomes()["delivered"] == 30
    assert "lost" not in outcomes()


def test_what_one_run_left_the_next_delivers(spool, record, metrics):
    """A receiver that was away all the time of a daemon gets its records from another."""

    async def run() -> list[str]:
        receiver = Receiver()
        async with posting(receiver, spool, metrics) as sink:
            await receiver.stop()
            for key in "abc":
                await sink.put(record(key))
            assert f"sink hook: not delivered, {receiver.url}: Cannot connect" in sink.trouble
        async with posting(receiver, spool, metrics):
            await receiver.has(3)
            await asyncio.wait_for(empty(spool), 10)
        return receiver.keys

    assert asyncio.run(run()) == ["a", "b", "c"]


def test_not_spooled(spool, record, metrics, outcomes):
    """A sink that was told not to keeps nothing on disk."""

    async def run() -> list[str]:
        receiver = Receiver()
        async with posting(receiver, spool, metrics, spooled=False) as sink:
            await receiver.stop()
            await sink.put(record("one"))
            await receiver.start()
            await receiver.has(1)
        return receiver.keys

    assert asyncio.run(run()) == ["one"]
    assert spool.items == 0
    assert outcomes() == {"delivered": 1}


def test_a_token_that_changes(tmp_path, spool, record, metrics, outcomes):
    """It is read anew when it is refused, and again until somebody has written the right one; no record is lost."""
    token = tmp_path / "token"
    token.write_text("first\n")

    async def run() -> Receiver:
        receiver = Receiver()
        receiver.bearer = "first"
        async with posting(receiver, spool, metrics, token_file=token) as sink:
            await sink.put(record("one"))
            receiver.bearer = "second"
            token.write_text("second\n")
            await sink.put(record("two"))
            assert receiver.requests == 3
            receiver.bearer = "third"
            await sink.put(record("three"))
            await receiver.has(2, requests=6)
            assert sink.trouble.endswith("HTTP status 401")
            token.write_text("third\n")
            await receiver.has(3)
            await asyncio.wait_for(empty(spool), 10)
        return receiver

    assert asyncio.run(run()).keys == ["one", "two", "three"]
    assert outcomes() == {"delivered": 3, "spooled": 1}


def test_an_authority_of_our_own(tmp_path, spool, record, metrics):
    """A receiver's certificate is checked against the file, or the system's; a stranger's gets nothing."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)

    async def run() -> tuple[str, list[str]]:
        receiver = Receiver(tls)
        async with posting(receiver, spool, metrics) as stranger:
            await stranger.put(record("one"))
            trouble = stranger.trouble
        assert receiver.keys == []
        async with posting(receiver, spool, metrics, tls_ca=tmp_path / "ca.pem"):
            await asyncio.wait_for(empty(spool), 10)
        return trouble, receiver.keys

    trouble, keys = asyncio.run(run())
    assert "certificate verify failed" in trouble
    assert keys == ["one"]


@pytest.mark.parametrize("key", ["token_file", "tls_ca"])
@pytest.mark.parametrize("content", [None, "", "two\nlines"])
def test_files_that_are_no_use(tmp_path, metrics, key, content):
    """They are said at the start, by name."""
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)

    async def run() -> None:
        async with posting(Receiver(), None, metrics, **{key: path}):
            pass

    with pytest.raises(SinkError, match=r"^sink hook: .*, mend the file$"):
        asyncio.run(run())
