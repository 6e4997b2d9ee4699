"""`edge-runtime daemon` in a process of its own, as a service manager and its users meet it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

START_S, STOP_S = 30.0, 30.0


def put(folder: Path, name: str, photo: bytes) -> None:
    """Put a photo into a watched folder, at once as a whole."""
    (folder / f".{name}").write_bytes(photo)
    (folder / f".{name}").rename(folder / name)


class Figures(NamedTuple):
    """What the kernel says of a process: resident bytes, open descriptors, threads."""

    resident: int
    descriptors: int
    threads: int


class DaemonProcess:
    """Starts the daemon and waits until it is READY; a context manager that ends it.

    ``config`` is its file, whose port should be ``127.0.0.1:0``: `address` is the real one. ``command`` replaces the
    command up to its options, ``before`` runs in the child before it, ``environment`` is added to this process's.
    ``ready_s`` are the seconds from the start to READY, ``notices`` what the service manager heard, ``log`` the lines
    of the log.
    """

    def __init__(
        self,
        config: Path,
        *,
        command: Sequence[str] = (sys.executable, "-m", "edge_runtime", "daemon", "--config"),
        environment: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> None:
        self.notices: list[str] = []
        self.log: list[str] = []
        self._heard = threading.Condition()
        # Abstract, so that a namespace of mounts does not hide it.
        name = f"edge-runtime-{os.getpid()}-{id(self)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name}")
        environ = os.environ | {"NOTIFY_SOCKET": f"@{name}", "EDGE_RUNTIME__LOG__FORMAT": "json"} | (environment or {})
        start_s = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [*command, str(config)],
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            preexec_fn=before,
        )
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._listen, self._read_log)]
        for reader in self._readers:
            reader.start()
        try:
            self.hear("READY=1", START_S)
        except TimeoutError:
            self.close()
            raise
        self.ready_s = time.monotonic() - start_s
        self.address = self._address()

    def hear(self, notice: str, timeout_s: float, count: int = 1) -> None:
        """Wait until the service manager has heard a notice so often; TimeoutError, with the log, if it does not."""
        with self._heard:
            found = self._heard.wait_for(
                lambda: self.notices.count(notice) >= count or self.process.poll() is not None, timeout_s
            )
        if not found or self.notices.count(notice) < count:
            raise TimeoutError("\n".join([f"no {notice} after {timeout_s:.0f} s", *self.log[-20:]]))

    def reload(self) -> None:
        """Have the configuration read again, and wait until that is over."""
        count = self.notices.count("READY=1")
        self.process.send_signal(signal.SIGHUP)
        self.hear("READY=1", START_S, count + 1)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of one request on a connection of its own."""
        host, port = self.address
        connection = http.client.HTTPConnection(host, port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def post(self, source: str, photo: bytes, name: str = "", kind: str = "image/jpeg") -> dict[str, Any]:
        """The record of a posted photo, or ``{"status": …, "error": …}``."""
        headers = {"Content-Type": kind} | ({"X-Request-Name": name} if name else {})
        status, body = self.request("POST", f"/answer/{source}", photo, headers)
        found: dict[str, Any] = json.loads(body)
        return found if status == 200 else {"status": status, **found}

    def state(self) -> dict[str, Any]:
        """What `/state` says."""
        found: dict[str, Any] = json.loads(self.request("GET", "/state")[1])
        return found

    def source(self, name: str) -> dict[str, Any]:
        """What it says of one source."""
        return next(one for one in self.state()["sources"] if one["name"] == name)

    def figures(self) -> Figures:
        """What the kernel says of the process."""
        folder = Path(f"/proc/{self.process.pid}")
        pages = int((folder / "statm").read_text().split()[1])
        count = [len(list((folder / name).iterdir())) for name in ("fd", "task")]
        return Figures(pages * os.sysconf("SC_PAGE_SIZE"), *count)

    def stop(self) -> int:
        """End it in order; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._socket.shutdown(socket.SHUT_RDWR)
        for reader in self._readers:
            reader.join()
        self._socket.close()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def __enter__(self) -> DaemonProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self) -> None:
        while message := self._socket.recv(1 << 16):
            with self._heard:
                self.notices += message.decode().splitlines()
                self._heard.notify_all()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))
        self.process.wait()
        with self._heard:
            self._heard.notify_all()

    def _address(self) -> tuple[str, int]:
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s:
            for line in self.log:
                found = json.loads(line) if line.startswith("{") else {}
                if found.get("http", "").startswith("http://"):
                    host, port = found["http"].removeprefix("http://").rsplit(":", 1)
                    return host, int(port)
            time.sleep(0.01)
        raise TimeoutError("\n".join(["the log names no address", *self.log[-20:]]))
