"""The link as the event loop uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_runtime.codecs import image
from edge_runtime.daemon import config
from edge_runtime.daemon.link import NoLink, ServerLink
from edge_runtime.errors import LinkLost
from edge_runtime.messages import Payload, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.models import Bundle


@pytest.fixture
def request_for(grey: NDArray[np.uint8]) -> Request:
    """A whole frame."""
    return Request("remote", 1, (Payload("image", image.encode(grey)),))


def test_a_reply_is_awaited(zoo: Bundle, zoo_server: str, request_for: Request) -> None:
    """The server's answer comes to the loop, which goes on meanwhile."""

    async def ask() -> tuple[int, str]:
        link = ServerLink(config.Link(server=zoo_server), zoo.hash, losses=1)
        try:
            replies = await asyncio.gather(*(link.call(request_for, 10.0) for _ in range(3)))
            return len(replies[0].probabilities[0]), link.breaker
        finally:
            link.close()

    assert asyncio.run(ask()) == (len(zoo.classes), "closed")


def test_a_server_that_is_not_there_loses_requests_and_opens_the_breaker(zoo: Bundle, request_for: Request) -> None:
    """The second call is lost at once, and says that nobody was asked."""

    async def ask() -> tuple[str, str]:
        link = ServerLink(config.Link(server="127.0.0.1:1", probe_first_ms=1e6), zoo.hash, losses=1)
        try:
            with pytest.raises(LinkLost):
                await link.call(request_for, 10.0)
            with pytest.raises(LinkLost, match="not asked"):
                await link.call(request_for, 10.0)
            return link.breaker, link.lost
        finally:
            link.close()

    breaker, reason = asyncio.run(ask())
    assert breaker == "open"
    assert reason.startswith("127.0.0.1:1: not asked")


def test_without_a_server_every_request_is_lost(request_for: Request) -> None:
    """There is nothing to wait for."""
    with pytest.raises(LinkLost, match="no server is configured"):
        asyncio.run(NoLink().call(request_for, 10.0))
    lost: list[object] = []
    NoLink().client.start(request_for, 1.0, lost.append)
    assert isinstance(lost[0], LinkLost)
