"""The local port: photos come in, answers, metrics, health and the status page go out."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
import socket
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from edge_runtime.daemon.bodies import Bodies
from edge_runtime.daemon.connections import Connection, Connections, is_loopback, open_socket
from edge_runtime.daemon.events import Events
from edge_runtime.daemon.frames import Captured, Dropped
from edge_runtime.errors import EdgeRuntimeError, PhotoError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from edge_runtime.daemon.config import Http
    from edge_runtime.daemon.frames import Record
    from edge_runtime.daemon.health import Health
    from edge_runtime.daemon.metrics import Metrics
    from edge_runtime.daemon.recent import Recent
    from edge_runtime.daemon.sources.posted import Desk, Desks
    from edge_runtime.daemon.state import State

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PHOTO_TYPES = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")
NAME_CHARACTERS = 200
HEADER_BYTES = 4096
# How long an answer may still take when the port closes.
CLOSING_S = 2.0
# Of a body that was refused, this long is read and thrown away, so that its sender sees why.
LINGERING_S = 1.0
DROPPED = {"full": web.HTTPServiceUnavailable, "rate": web.HTTPTooManyRequests, "stopped": web.HTTPServiceUnavailable}


class Web:
    """Everything that is reached by HTTP, at ``settings.listen``; ``state`` says how the daemon is doing.

    On a loopback address only requests to this machine's own names are taken, and nowhere those that a browser sends
    for the page of another site.
    """

    def __init__(
        self,
        settings: Http,
        desks: Desks,
        metrics: Metrics,
        recent: Recent,
        health: Health,
        state: Callable[[], State],
    ) -> None:
        self._settings, self._desks, self._metrics = settings, desks, metrics
        self._health, self._state = health, state
        self._events = Events(recent, settings.page_frames, state)
        self._bodies = Bodies(settings.max_body_bytes, settings.body_timeout_s, metrics)
        self._names: frozenset[str] | None = None
        self._page, self._policy = _page()
        self._address = settings.listen
        self._open: tuple[web.AppRunner, Connections] | None = None
        self._posted = 0

    async def start(self) -> None:
        """Take connections; raises ConfigError where that is not possible."""
        settings = self._settings
        if is_loopback(settings.listen):
            self._names = frozenset({"localhost", "127.0.0.1", "[::1]", settings.listen.rpartition(":")[0]})
        listener = open_socket(settings.listen)
        self._address = _address(listener)
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            logger=_logger(),
            handler_cancellation=True,
            auto_decompress=False,
            lingering_time=LINGERING_S,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            shutdown_timeout=CLOSING_S,
        )
        await runner.setup()
        accept = cast("Callable[[], asyncio.Protocol]", runner.server)
        connections = Connections(accept, settings.max_connections, settings.header_timeout_s, self._metrics)
        self._open = runner, connections
        await connections.serve(listener)

    async def close(self) -> None:
        """Take no more connections, give what is under way a moment, and cut the rest."""
        if self._open is None:
            return
        runner, connections = self._open
        self._events.close()
        connections.stop()
        await runner.cleanup()
        await connections.close()

    @property
    def address(self) -> str:
        """Where it listens: ``http://HOST:PORT`` with the real port, or ``unix:PATH``."""
        return self._address

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard])
        application.on_response_prepare.append(self._harden)
        application.add_routes(
            [
                web.get("/", self._show_page),
                web.post("/answer", self._answer),
                web.post("/answer/{name}", self._answer),
                web.get("/metrics", self._show_metrics),
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/state", self._show_state),
                web.get("/events", self._events.stream, allow_head=False),
            ]
        )
        return application

    # What holds for every request.

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Tell the connection how far its request is, refuse other sites' requests, and say errors in JSON."""
        connection = Connection.of(request)
        if connection is not None:
            connection.body_awaited()
        try:
            self._check_site(request)
            return await handler(request)
        except web.HTTPException as refusal:
            return _json({"error": refusal.text}, refusal.status, _kept(refusal.headers))
        finally:
            if connection is not None:
                connection.header_awaited()

    def _check_site(self, request: web.Request) -> None:
        host = request.headers.get("Host", "")
        if self._names is not None and re.sub(r":\d*$", "", host).lower() not in self._names:
            raise web.HTTPForbidden(text=f"no host of this machine: {host[:NAME_CHARACTERS]!r}; use localhost")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise web.HTTPForbidden(text="a page of another site asks; only the status page itself may")

    async def _harden(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = self._policy if request.path == "/" else "default-src 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        response.headers["Server"] = "edge-runtime"

    # Photos.

    async def _answer(self, request: web.Request) -> web.Response:
        desk = self._desk(request)
        name = self._name(request)
        deadline_s = _deadline_s(request, desk)
        if request.content_type not in PHOTO_TYPES:
            raise web.HTTPUnsupportedMediaType(
                text=f"{request.content_type[:80]!r} is none of {', '.join(PHOTO_TYPES)}"
            )
        image = await self._bodies.read(request)
        connection = Connection.of(request)
        if connection is not None:
            connection.answer_awaited()
        # A reload may have opened another one while the photo came.
        desk = self._desks.find(request.match_info.get("name")) or desk
        return await self._ask(desk, Captured(name, image, time.monotonic() + deadline_s), len(image))

    async def _ask(self, desk: Desk, captured: Captured, size: int) -> web.Response:
        """Queue a photo, and send its record; a client that goes away leaves its photo to be answered."""
        captured.answered.add_done_callback(lambda _: self._bodies.free(size))
        try:
            await desk.intake.offer(captured)
        except asyncio.CancelledError:
            captured.answered.cancel()
            raise
        # Unlike awaiting the future, this does not cancel it together with the request.
        await asyncio.wait([captured.answered])
        return _record_response(captured.answered)

    def _desk(self, request: web.Request) -> Desk:
        name = request.match_info.get("name")
        desk = self._desks.find(name)
        if desk is None:
            which = "one source of kind http" if name is None else f"a source of kind http named {name[:32]!r}"
            raise web.HTTPNotFound(text=f"there is not {which}; see [[source]] in the configuration")
        return desk

    def _name(self, request: web.Request) -> str:
        name = request.headers.get("X-Request-Name") or request.query.get("name")
        if not name:
            self._posted += 1
            return str(self._posted)
        if len(name) > NAME_CHARACTERS or not name.isprintable():
            raise web.HTTPBadRequest(text=f"the request's name is not printable or longer than {NAME_CHARACTERS}")
        return name

    # Health, metrics, state.

    async def _livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self._health.live else web.Response(status=503, text="failed\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        body = {"level": self._health.level, "conditions": self._health.conditions}
        return _json(body, 200 if self._health.ready else 503)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _show_state(self, _: web.Request) -> web.Response:
        return _json(self._state())

    async def _show_page(self, _: web.Request) -> web.Response:
        return web.Response(body=self._page, content_type="text/html", charset="utf-8")


def _record_response(answered: asyncio.Future[Record]) -> web.Response:
    try:
        record = answered.result()
    except Dropped as dropped:
        raise DROPPED[dropped.reason](text=str(dropped), headers={"Retry-After": "1"}) from None
    except PhotoError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from None
    except (EdgeRuntimeError, asyncio.CancelledError) as error:
        raise web.HTTPInternalServerError(text=str(error) or "the photo was not answered") from None
    return web.Response(body=record.to_json(), content_type="application/json")


def _deadline_s(request: web.Request, desk: Desk) -> float:
    """The source's deadline, or what ``Deadline-Ms`` makes of it when that is less."""
    wanted = request.headers.get("Deadline-Ms")
    if wanted is None:
        return desk.deadline_s
    try:
        seconds = float(wanted) / 1000
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise web.HTTPBadRequest(text=f"Deadline-Ms: {wanted[:32]!r} is no number above 0")
    return min(seconds, desk.deadline_s)


def _json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json")


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """What a refusal says beside its text."""
    return {key: headers[key] for key in ("Allow", "Retry-After") if key in headers}


def _page() -> tuple[bytes, str]:
    """The status page, and the policy that lets it run nothing but its own script and style, and ask nobody else."""
    page = files("edge_runtime.daemon").joinpath("page.html").read_bytes()

    def own(tag: str) -> str:
        found = re.search(rb"<%b>(.*?)</%b>" % (tag.encode(), tag.encode()), page, re.DOTALL)
        inside = found[1] if found else b""
        return f"'sha256-{base64.b64encode(hashlib.sha256(inside).digest()).decode()}'"

    policy = (
        f"default-src 'none'; script-src {own('script')}; style-src {own('style')}; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


def _address(listener: socket.socket) -> str:
    name = listener.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host, port = name[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _logger() -> logging.Logger:
    """Aiohttp's, less what strangers could fill the log with."""
    logger = logging.getLogger("edge_runtime.daemon.web")
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether it is more than a request that was none, or that broke off."""
    return not (record.exc_info and isinstance(record.exc_info[1], (HttpProcessingError, ConnectionError)))
