"""The link as the event loop uses it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_runtime.codecs import image
from edge_runtime.daemon import config
from edge_runtime.daemon.link import LOSSES_WITHOUT_ANSWER, NoLink, ServerLink
from edge_runtime.errors import ArgumentError, LinkError, LinkLost, ServerRefused
from edge_runtime.messages import Payload, Reply, Request
from edge_runtime.transport.shaper import Shaper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.models import Bundle

NOBODY = "127.0.0.1:1"
NEVER_MS = 1e6


@pytest.fixture
def asked(grey: NDArray[np.uint8]) -> Request:
    """A whole frame."""
    return Request("remote", 1, (Payload("image", image.encode(grey)),))


def with_link(
    bundle: Bundle, address: str, use: Callable[[ServerLink], Awaitable[None]], losses: int = 1, first_ms: float = 250
) -> None:
    """Use a link in an event loop, and close it."""

    async def run() -> None:
        settings = config.Link(server=address, probe_first_ms=first_ms, probe_longest_ms=max(first_ms, 250))
        link = ServerLink(settings, bundle.hash, losses=losses)
        try:
            await use(link)
        finally:
            link.close()

    asyncio.run(run())


@pytest.mark.host
def test_replies_are_awaited(zoo: Bundle, zoo_server: str, asked: Request) -> None:
    """Several requests are under way at once, and each has its reply."""

    async def use(link: ServerLink) -> None:
        replies = await asyncio.gather(*(link.call(asked, 10.0) for _ in range(3)))
        assert [reply.probabilities.shape for reply in replies] == [(1, len(zoo.classes))] * 3
        assert link.breaker == "closed"

    with_link(zoo, zoo_server, use)


def test_a_server_that_is_not_there_loses_requests_and_opens_the_breaker(zoo: Bundle, asked: Request) -> None:
    """The second call is lost at once, and says that nobody was asked."""

    async def use(link: ServerLink) -> None:
        with pytest.raises(LinkLost, match="UNAVAILABLE"):
            await link.call(asked, 10.0)
        with pytest.raises(LinkLost, match="not asked"):
            await link.call(asked, 10.0)
        assert link.breaker == "open"
        assert link.lost.startswith(f"{NOBODY}: not asked")

    with_link(zoo, NOBODY, use, first_ms=NEVER_MS)


def test_who_has_no_other_answer_asks_again(zoo: Bundle, asked: Request) -> None:
    """A patient breaker opens with the last of several losses."""

    async def use(link: ServerLink) -> None:
        for lost in range(LOSSES_WITHOUT_ANSWER):
            assert link.breaker == "closed", lost
            with pytest.raises(LinkLost, match="UNAVAILABLE"):
                await link.call(asked, 10.0)
        assert link.breaker == "open"

    with_link(zoo, NOBODY, use, losses=LOSSES_WITHOUT_ANSWER, first_ms=NEVER_MS)


@pytest.mark.host
def test_a_cut_in_mid_request_is_a_loss_and_a_probe_finds_the_server_again(
    zoo: Bundle, zoo_server: str, asked: Request
) -> None:
    """Looking at the breaker is what sends the probe."""

    async def use(link: ServerLink) -> None:
        await link.call(asked, 10.0)
        shaper.silence()
        wanted = shaper.bytes_up + len(asked.payloads[0].data)
        under_way = asyncio.create_task(link.call(asked, 10.0))
        while shaper.bytes_up < wanted:
            await asyncio.sleep(0.001)
        shaper.cut()
        with pytest.raises(LinkLost):
            await under_way
        assert link.breaker == "open"
        shaper.resume()
        while link.breaker != "closed":
            await asyncio.sleep(0.001)
        assert len((await link.call(asked, 10.0)).probabilities) == 1

    with Shaper(zoo_server) as shaper:
        with_link(zoo, shaper.address, use, first_ms=1)


@pytest.mark.host
def test_silence_is_a_loss_when_the_time_is_over(zoo: Bundle, zoo_server: str, asked: Request) -> None:
    """A server that says nothing is waited for as long as the call says."""

    async def use(link: ServerLink) -> None:
        await link.call(asked, 10.0)
        shaper.silence()
        with pytest.raises(LinkLost, match="DEADLINE_EXCEEDED"):
            await link.call(asked, 0.05)
        shaper.resume()

    with Shaper(zoo_server) as shaper:
        with_link(zoo, shaper.address, use)


@pytest.mark.host
def test_a_refusal_is_no_loss(zoo: Bundle, zoo_server: str) -> None:
    """A server that says no is there."""

    async def use(link: ServerLink) -> None:
        with pytest.raises(ServerRefused):
            await link.call(Request("remote", 1, (Payload("image", b"no picture"),)), 10.0)
        assert link.breaker == "closed"

    with_link(zoo, zoo_server, use)


def test_what_a_server_refuses_is_kept_until_it_answers(zoo: Bundle, zoo_server: str, asked: Request) -> None:
    """A closed breaker alone would look as if all were well."""

    async def run() -> None:
        link = ServerLink(config.Link(server=zoo_server), zoo.hash, losses=1)
        try:
            with pytest.raises(ServerRefused):
                await link.call(replace(asked, model="none"), 10.0)
            assert link.refused.startswith(f"{zoo_server}: ")
            assert link.breaker == "closed"
            await link.call(asked, 10.0)
            assert link.refused == ""
        finally:
            link.close()

    asyncio.run(run())


class Held:
    """A client whose outcomes come when the test says so."""

    def start(self, request: Request, timeout_s: float, done: Callable[[Reply | LinkError], None]) -> None:  # noqa: ARG002 - of `Client`
        """Keep what is to be told."""
        self.done = done


def test_an_outcome_that_comes_after_the_loop_has_ended_is_dropped(zoo: Bundle, asked: Request) -> None:
    """The thread that brings it is not to be troubled."""

    async def run() -> Held:
        link = ServerLink(config.Link(server=NOBODY), zoo.hash, losses=1)
        link.close()
        link.client = Held()
        under_way = asyncio.create_task(link.call(asked, 10.0))
        await asyncio.sleep(0)
        under_way.cancel()
        return link.client

    held = asyncio.run(run())
    held.done(LinkLost("too late"))


def test_an_outcome_that_comes_after_the_caller_has_gone_is_dropped(zoo: Bundle, asked: Request) -> None:
    """The loop goes on, and nothing of it is told to anybody."""

    async def run() -> None:
        troubles: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, trouble: troubles.append(trouble))
        link = ServerLink(config.Link(server=NOBODY), zoo.hash, losses=1)
        link.close()
        link.client = held = Held()
        under_way = asyncio.create_task(link.call(asked, 10.0))
        await asyncio.sleep(0)
        under_way.cancel()
        await asyncio.gather(under_way, return_exceptions=True)
        await asyncio.to_thread(held.done, LinkLost("too late"))
        await asyncio.sleep(0)
        assert troubles == []

    asyncio.run(run())


def test_a_certificate_that_is_not_there_is_one_line(zoo: Bundle, tmp_path: Path) -> None:
    """The error names the file."""
    settings = config.Link(server=NOBODY, tls=True, tls_ca=tmp_path / "none.pem")
    with pytest.raises(ArgumentError, match=r"none\.pem"):
        ServerLink(settings, zoo.hash, losses=1)


def test_without_a_server_every_request_is_lost(asked: Request) -> None:
    """There is nothing to wait for."""
    with pytest.raises(LinkLost, match="no server is configured"):
        asyncio.run(NoLink().call(asked, 10.0))
    lost: list[object] = []
    NoLink().start(asked, 1.0, lost.append)
    assert isinstance(lost[0], LinkLost)
    assert NoLink().breaker == "open"
