"""Reading the bodies of requests: each within its own size and time, all together within one budget."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from edge_runtime.daemon.metrics import Metrics

# Photos that are read or wait for their answer may take this much memory, or one photo if that is more.
TOGETHER_BYTES = 64 << 20


class Bodies:
    """The bodies in memory, ``held_bytes`` together; each counts until it is `free`."""

    def __init__(self, most_bytes: int, timeout_s: float, metrics: Metrics) -> None:
        self._most_bytes, self._timeout_s = most_bytes, timeout_s
        self._together_bytes = max(TOGETHER_BYTES, most_bytes)
        self.held_bytes = 0
        self._metrics = metrics

    async def read(self, request: web.Request) -> bytes:
        """A request's whole body, at least one byte; raises what to answer when it is too large, too slow or empty."""
        self._check_size(request.content_length or 0)
        try:
            body = await asyncio.wait_for(self._collect(request), self._timeout_s)
        except asyncio.TimeoutError:
            self._metrics.turned_away.labels("body-timeout").inc()
            text = f"the body was not there after {self._timeout_s:g} s; send it faster"
            raise web.HTTPRequestTimeout(text=text) from None
        if not body:
            raise web.HTTPBadRequest(text="the body is empty; send one image as it is in its file")
        return body

    def free(self, size: int) -> None:
        """A body of that many bytes is needed no longer."""
        self.held_bytes -= size

    async def _collect(self, request: web.Request) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in request.content.iter_any():
                size += len(chunk)
                self.held_bytes += len(chunk)
                self._check_size(size)
                chunks.append(chunk)
            return b"".join(chunks)
        except BaseException:
            self.free(size)
            raise

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            text = (
                f"the body is larger than {self._most_bytes} bytes; send a smaller image or raise http.max_body_bytes"
            )
            raise web.HTTPRequestEntityTooLarge(self._most_bytes, size, text=text)
        if self.held_bytes > self._together_bytes:
            text = f"images of {self._together_bytes} bytes are waiting already; try again"
            raise web.HTTPServiceUnavailable(text=text, headers={"Retry-After": "1"})
