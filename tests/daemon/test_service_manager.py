"""What systemd hears from the daemon, on a real socket."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from edge_runtime.daemon.service_manager import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, ServiceManager]]:
    """A socket as systemd has one, and the daemon's end of it."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@edge-runtime-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + address[1:] if address[0] == "@" else address)
        listener.settimeout(5)
        yield listener, ServiceManager.from_environment({"NOTIFY_SOCKET": address})


def test_each_message_is_one_datagram_of_fields(heard: tuple[socket.socket, ServiceManager]) -> None:
    """A life: ready, alive, busy, stopping."""
    listener, manager = heard
    manager.ready("2 sources")
    manager.watchdog()
    manager.status("link down")
    manager.stopping()
    assert [listener.recv(4096) for _ in range(4)] == [
        b"READY=1\nSTATUS=2 sources",
        b"WATCHDOG=1",
        b"STATUS=link down",
        b"STOPPING=1",
    ]


def test_reloading_carries_the_monotonic_moment(heard: tuple[socket.socket, ServiceManager]) -> None:
    """systemd takes the message for one of this reload only with a time after its signal."""
    listener, manager = heard
    before = time.monotonic_ns() // 1000
    manager.reloading()
    fields = dict(line.split("=") for line in listener.recv(4096).decode().splitlines())
    assert fields["RELOADING"] == "1"
    assert before <= int(fields["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000


def test_a_status_cannot_smuggle_in_another_field(heard: tuple[socket.socket, ServiceManager]) -> None:
    """Line breaks in a reason that came from elsewhere become spaces."""
    listener, manager = heard
    manager.status("server said:\nMAINPID=1\r\nSTOPPING=1\x0bx\u2028y \udcff")
    assert listener.recv(4096) == b"STATUS=server said: MAINPID=1 STOPPING=1 x y ?"


def test_without_a_socket_nothing_is_said() -> None:
    """On a terminal there is nobody to tell, and nothing to keep alive."""
    manager = ServiceManager.from_environment({})
    manager.ready("")
    manager.watchdog()
    assert manager.watchdog_s is None


@pytest.mark.parametrize("address", ["/nonexistent/notify", "/" + "x" * 200, "vsock:2:1234"])
def test_a_service_manager_that_is_gone_is_no_error(address: str, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be sent is logged, and the daemon goes on."""
    ServiceManager(address).ready("")
    assert "NOTIFY_SOCKET: READY=1 was not told" in caplog.text


def test_a_service_manager_that_does_not_read_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full queue holds the daemon up for a moment only."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        manager = ServiceManager(str(tmp_path / "notify"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    other.sendto(b"x", str(tmp_path / "notify"))
        manager.watchdog()
    assert "timed out" in caplog.text


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid() + 1)}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_PID": "x", "WATCHDOG_USEC": "1"}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_time(environ: dict[str, str], expected: float | None) -> None:
    """Only when it is meant for this process, and says a time."""
    assert ServiceManager.from_environment(environ).watchdog_s == expected
