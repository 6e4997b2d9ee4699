"""The local port's connections: the socket they come to, how many there may be, and how long they may say nothing.

aiohttp limits neither their number nor the time that a header may take, so each connection stands before aiohttp's own
protocol and passes on what comes.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from edge_runtime.daemon.metrics import Metrics

# The kernel holds this many connections for us; we take a few of them between two turns of the event loop, so that
# frames go on while thousands come.
WAITING = 1024
AT_A_STRETCH = 8
# What may come behind a request that is being answered; aiohttp would read on and keep it.
AHEAD_BYTES = 64 << 10
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
UNIX = "unix:"

Refusal = Literal["too-many", "idle", "header-timeout", "ahead", "stalled"]


def open_socket(listen: str) -> socket.socket:
    """A listening socket for ``HOST:PORT``, ``[IPV6]:PORT`` or ``unix:PATH`` (mode 0660); raises ConfigError.

    A socket file that nobody serves any more is replaced.
    """
    try:
        return _open_unix(Path(listen[len(UNIX) :])) if listen.startswith(UNIX) else _open_tcp(*_split(listen))
    except OSError as error:
        hint = "; another process has it" if error.errno == errno.EADDRINUSE else ""
        raise ConfigError(f"http.listen: {listen} cannot be opened ({error.strerror or error}{hint})") from error


def is_loopback(listen: str) -> bool:
    """Whether only this machine reaches the address, by TCP."""
    if listen.startswith(UNIX):
        return False
    host, _ = _split(listen)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"http.listen: {listen!r} is neither HOST:PORT nor unix:PATH, such as 127.0.0.1:8470")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _open_tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(WAITING)
    except OSError:
        listener.close()
        raise
    return listener


def _open_unix(path: Path) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        # Nobody can connect before we listen, so nobody slips in before the mode is set.
        path.chmod(0o660)
        listener.listen(WAITING)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigError(f"http.listen: {path} is there and no socket; remove it or name another")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise ConfigError(f"http.listen: {path} is served by another process; stop it or name another")


class Connections:
    """Serves a socket with aiohttp's protocols, ``accept()`` each: at most ``most``, and none that is silent.

    Between requests a connection has ``header_timeout_s`` for the next whole header.
    """

    def __init__(
        self, accept: Callable[[], asyncio.Protocol], most: int, header_timeout_s: float, metrics: Metrics
    ) -> None:
        self._accept, self._most = accept, most
        self.header_timeout_s = header_timeout_s
        self._metrics = metrics
        self._open: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def serve(self, listener: socket.socket) -> None:
        """Take connections from now on."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        self._server = await loop.create_server(lambda: Connection(self), sock=listener, backlog=AT_A_STRETCH)
        listener.listen(WAITING)

    def stop(self) -> None:
        """Take no more connections, those neither that are being taken at this moment."""
        self._most = 0
        if self._server is None:
            return
        names = [name for one in self._server.sockets if isinstance(name := one.getsockname(), str)]
        self._server.close()
        for name in names:
            Path(name).unlink(missing_ok=True)

    async def close(self) -> None:
        """Cut what is still open."""
        self.stop()
        for connection in tuple(self._open):
            connection.cut()
        while self._open:
            await asyncio.sleep(0)

    def enter(self, connection: Connection) -> asyncio.Protocol | None:
        """Aiohttp's protocol for a new connection; None when there are too many."""
        if len(self._open) >= self._most:
            self.count("too-many")
            return None
        self._open.add(connection)
        self._metrics.connections.set(len(self._open))
        return self._accept()

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._open.discard(connection)
        self._metrics.connections.set(len(self._open))

    def count(self, reason: Refusal) -> None:
        """One turned away or closed by us."""
        self._metrics.turned_away.labels(reason).inc()


class Connection(asyncio.Protocol):
    """One connection before aiohttp's protocol; the handler of its request says how far that is."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._inner: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False
        self._ahead: int | None = None

    @staticmethod
    def of(request: web.Request) -> Connection | None:
        """The one that a request came by; None when it is closed already."""
        protocol = None if request.transport is None else request.transport.get_protocol()
        return protocol if isinstance(protocol, Connection) else None

    def header_awaited(self) -> None:
        """Nothing is asked of us: the next header is due."""
        if self._inner is None:
            return
        self._ahead, self._begun = None, False
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(self._connections.header_timeout_s, self._header_overdue)

    def body_awaited(self) -> None:
        """The header is there; whoever reads the body watches the time."""
        self._disarm()

    def answer_awaited(self) -> None:
        """The whole request is there, and nothing more should come before its answer."""
        self._ahead = 0

    def cut(self, reason: Refusal | None = None) -> None:
        """Close at once, without sending what is not yet sent; counted when there is a reason."""
        if reason is not None:
            self._connections.count(reason)
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or turn the connection away."""
        self._transport = cast("asyncio.Transport", transport)
        self._inner = self._connections.enter(self)
        if self._inner is None:
            self._transport.write(BUSY)
            self._transport.close()
            return
        self._inner.connection_made(transport)
        self.header_awaited()

    def data_received(self, data: bytes) -> None:
        """Pass on what comes."""
        if self._inner is None:
            return
        self._begun = True
        if self._ahead is not None:
            self._ahead += len(data)
            if self._ahead > AHEAD_BYTES:
                self.cut("ahead")
                return
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The other side will send no more."""
        return None if self._inner is None else self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever wanted it."""
        self._disarm()
        if self._inner is not None:
            self._inner.connection_lost(exc)
            self._inner = None
            self._connections.leave(self)

    def pause_writing(self) -> None:
        """The other side reads too slowly."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._inner is not None:
            self._inner.resume_writing()

    def _header_overdue(self) -> None:
        self.cut("header-timeout" if self._begun else "idle")

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
