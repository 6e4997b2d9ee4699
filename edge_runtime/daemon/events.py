"""What the status page hears: the daemon's state each second, and pictures as they come, as server-sent events."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from edge_runtime.daemon.connections import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.daemon.recent import Recent
    from edge_runtime.daemon.state import State

LISTENERS = 8
# New pictures are told at each look, the state at every fifth.
LOOK_S = 0.2
LOOKS_PER_STATE = 5
# How long a listener may leave what it was sent unread.
STALLED_S = 10.0


class Events:
    """The open streams, `LISTENERS` at most; ``frames`` is how many pictures a page shall keep."""

    def __init__(self, recent: Recent, frames: int, state: Callable[[], State]) -> None:
        self._recent, self._frames, self._state = recent, frames, state
        self._era = secrets.token_hex(4)
        self._closing = False
        self.listeners = 0

    def close(self) -> None:
        """End all streams at their next look."""
        self._closing = True

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Tell a page until it goes away or reads too slowly."""
        if self.listeners >= LISTENERS:
            text = f"{LISTENERS} pages are open already; close one"
            raise web.HTTPServiceUnavailable(text=text, headers={"Retry-After": "10"})
        connection = Connection.of(request)
        if connection is not None:
            connection.answer_awaited()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self.listeners += 1
        try:
            await response.prepare(request)
            await self._tell(response, self._seen(request))
        except asyncio.TimeoutError:
            if connection is not None:
                connection.cut("stalled")
        finally:
            self.listeners -= 1
        return response

    async def _tell(self, response: web.StreamResponse, serial: int) -> None:
        await _send(response, "frames", b"%d" % self._frames)
        looks = 0
        while not self._closing:
            if looks % LOOKS_PER_STATE == 0:
                await _send(response, "state", msgspec.json.encode(self._state()))
            for shown in self._recent.since(serial):
                serial = shown.serial
                await _send(response, "shown", shown.to_json(), f"{self._era}.{serial}")
            looks += 1
            await asyncio.sleep(LOOK_S)

    def _seen(self, request: web.Request) -> int:
        """The last picture that a page had from this daemon, and not from one before, when its stream was cut."""
        era, _, serial = request.headers.get("Last-Event-ID", "").partition(".")
        return int(serial) if era == self._era and serial.isascii() and serial.isdigit() else 0


async def _send(response: web.StreamResponse, event: str, data: bytes, key: str = "") -> None:
    name = f"id: {key}\nevent: {event}" if key else f"event: {event}"
    await asyncio.wait_for(response.write(b"%s\ndata: %s\n\n" % (name.encode(), data)), STALLED_S)
