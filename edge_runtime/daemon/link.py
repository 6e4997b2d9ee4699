"""The link as the event loop uses it: requests whose replies are awaited, and probes while it is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from edge_runtime.errors import LinkError, LinkLost, ServerRefused, SessionForgotten
from edge_runtime.transport.breaker import Breaker
from edge_runtime.transport.client import Client
from edge_runtime.transport.tls import ClientTls

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.daemon import config
    from edge_runtime.messages import Reply, Request

# Calls in a row that a source without any answer of its own loses before it stops asking: one late reply says little,
# and it has nothing else to answer with.
LOSSES_WITHOUT_ANSWER = 3


class ServerLink:
    """A source's connection to the server, with a breaker of its own; ``lost`` says why nobody is asked.

    ``refused`` is what the server said when it last refused a request for good, empty since it answered one.
    """

    def __init__(self, settings: config.Link, bundle_hash: str, *, losses: int) -> None:
        self.server = settings.server
        self.refused = ""
        self.lost = f"{settings.server}: not asked, the link was lost and no probe has found it again yet"
        breaker = Breaker(settings.probe_first_ms / 1e3, settings.probe_longest_ms / 1e3, losses=losses)
        self.client = Client(settings.server, bundle_hash, tls=_tls(settings), breaker=breaker)

    async def call(self, request: Request, timeout_s: float) -> Reply:
        """Send a request and await its reply; raises as ``Client.call`` does."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Reply | LinkError] = loop.create_future()

        def done(found: Reply | LinkError) -> None:
            # A loop that has ended meanwhile takes no more outcomes, and nobody waits for this one.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, outcome, found)

        self.start(request, timeout_s, done)
        found = await outcome
        if isinstance(found, LinkError):
            raise found
        return found

    def start(self, request: Request, timeout_s: float, done: Callable[[Reply | LinkError], None]) -> None:
        """Send a request without waiting: ``Client.start``, listening for refusals."""

        def noted(found: Reply | LinkError) -> None:
            if isinstance(found, ServerRefused):
                # A session that is forgotten is no fault, and mended by sending everything.
                self.refused = "" if isinstance(found, SessionForgotten) else str(found)
            elif not isinstance(found, LinkError):
                self.refused = ""
            done(found)

        self.client.start(request, timeout_s, noted)

    @property
    def reachable(self) -> bool:
        """Whether a request would be tried now; asking sends a probe in the background when one is due."""
        return self.client.reachable

    @property
    def breaker(self) -> Literal["closed", "open", "half-open"]:
        """How the link stands; asking is as good as asking whether it is `reachable`."""
        return "closed" if self.reachable else self.client.breaker.state

    def close(self) -> None:
        """End the connection; calls under way are lost."""
        self.client.close()


class NoLink:
    """What a device without a server has instead of a link."""

    server = ""
    lost = "no server is configured"
    refused = ""
    reachable = False
    breaker: Literal["open"] = "open"

    async def call(self, request: Request, timeout_s: float) -> Reply:  # noqa: ARG002 - as `ServerLink.call`
        """Lose every request."""
        raise LinkLost(self.lost)

    def start(self, request: Request, timeout_s: float, done: Callable[[Reply | LinkError], None]) -> None:  # noqa: ARG002
        """The same, at once."""
        done(LinkLost(self.lost))

    def close(self) -> None:
        """Nothing to end."""


Link = ServerLink | NoLink


def _resolve(outcome: asyncio.Future[Reply | LinkError], found: Reply | LinkError) -> None:
    if not outcome.done():
        outcome.set_result(found)


def _tls(settings: config.Link) -> ClientTls | None:
    if not (settings.tls or settings.tls_ca or settings.tls_cert):
        return None
    return ClientTls(settings.tls_ca, settings.tls_cert, settings.tls_key)
