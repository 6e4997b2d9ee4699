"""Connections that are too many, too slow, or not what they should be; and the addresses that they come to."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_runtime.daemon.connections import AHEAD_BYTES, is_loopback, open_socket
from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakePort = Callable[..., Any]

PHOTO = b"POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n"
ALIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
CLOSE = b"Connection: close\r\n\r\n"


def sent(port: Any, data: bytes) -> bytes:
    """What comes back for these bytes until the port closes the connection."""

    async def scenario() -> bytes:
        async with port:
            answer: bytes = await port.send(data)
            return answer

    return asyncio.run(scenario())


def test_a_header_that_does_not_end_is_cut(local_port: MakePort) -> None:
    """However slowly its lines come, the whole header has one time."""
    port = local_port(header_timeout_s=0.2)

    async def scenario() -> None:
        async with port:
            reader, writer = await port.connect()
            writer.write(b"POST /answer HTTP/1.1\r\n")
            while not reader.at_eof():
                writer.write(b"X-Slow: 1\r\n")
                try:
                    await asyncio.wait_for(reader.read(1), 0.03)
                except (asyncio.TimeoutError, ConnectionError):
                    continue
            writer.close()

    asyncio.run(scenario())
    assert port.refused == {"header-timeout": 1}
    assert port.open_connections == 0


@pytest.mark.parametrize("before", [b"", ALIVE + b"\r\n"], ids=["new", "answered"])
def test_a_connection_that_asks_nothing_is_cut(local_port: MakePort, before: bytes) -> None:
    """A new one, and one that has had its answer, may be silent for only so long."""
    port = local_port(header_timeout_s=0.1)
    assert sent(port, before).startswith(b"HTTP/1.1 200" if before else b"")
    assert port.refused == {"idle": 1}


def test_a_photo_may_take_longer_than_a_header(local_port: MakePort) -> None:
    """Whoever waits for an answer is not silent."""
    port = local_port(header_timeout_s=0.1)

    async def scenario() -> bytes:
        async with port:
            sending = asyncio.create_task(port.send(PHOTO + CLOSE + b"slow"))
            idle = asyncio.create_task(port.send(b""))
            # An idle connection that came later has been cut by now.
            await idle
            port.released.set()
            answer: bytes = await sending
            return answer

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")


def test_one_connection_may_ask_again(local_port: MakePort) -> None:
    """Three requests, one after the other, and the answers in their order."""
    port = local_port()
    answers = sent(port, (ALIVE + b"\r\n") + (PHOTO + b"\r\nbad!") + (ALIVE + CLOSE))
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"422", b"200"]


def test_what_comes_before_the_answer_is_bounded(local_port: MakePort) -> None:
    """Requests that are piled up behind one that is being answered end the connection."""
    port = local_port()

    async def scenario() -> None:
        async with port:
            _, writer = await port.connect()
            writer.write(PHOTO + b"\r\nslow")
            while not port.taken:
                await asyncio.sleep(0)
            writer.write((PHOTO + b"\r\nmore") * (2 * AHEAD_BYTES // len(PHOTO)))
            while port.open_connections:
                await asyncio.sleep(0)
            writer.close()

    asyncio.run(scenario())
    assert port.refused == {"ahead": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 9000 + b"\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client",
        b"\x00\xff" * 400,
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /answer HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["header", "address", "tls", "noise", "length", "smuggled"],
)
def test_what_is_no_request_is_refused_quietly(
    local_port: MakePort, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    """It gets one answer and no connection, and fills no log."""
    assert sent(local_port(), data).startswith(b"HTTP/1.0 400")
    assert caplog.records == []


def test_damaged_requests_are_survived(local_port: MakePort, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever bytes of a good request are changed, each gets its end, nothing is logged, and the next is answered."""
    port = local_port(header_timeout_s=0.2, body_timeout_s=0.2, max_connections=500)
    random = np.random.default_rng(7)
    good = b"POST /answer?name=a%20b HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nDeadline-Ms: 90\r\n"
    good += b"Content-Type: image/jpeg\r\nContent-Length: 9\r\nConnection: close\r\n\r\na picture"

    def damaged() -> bytes:
        data = bytearray(good)
        for place in random.integers(len(data), size=random.integers(1, 5)):
            data[place] = random.choice([0, 10, 13, 32, 37, 58, 91, 128, 255, random.integers(256)])
        return bytes(data)

    async def scenario() -> bytes:
        async with port:
            await asyncio.gather(*(port.send(damaged()) for _ in range(300)))
            answer: bytes = await port.send(good)
            return answer

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")
    assert caplog.records == []
    assert port.held_bytes == 0


def test_one_connection_too_many_is_turned_away(local_port: MakePort) -> None:
    """It is told to come again, and there is room when another has left."""
    port = local_port(max_connections=2)

    async def scenario() -> tuple[bytes, bytes]:
        async with port:
            others = [await port.connect() for _ in range(2)]
            while port.open_connections < 2:
                await asyncio.sleep(0)
            turned_away = await port.send(b"")
            others.pop()[1].close()
            while port.open_connections == 2:
                await asyncio.sleep(0)
            answered = await port.send(ALIVE + CLOSE)
            others.pop()[1].close()
            return turned_away, answered

    turned_away, answered = asyncio.run(scenario())
    assert turned_away.startswith(b"HTTP/1.1 503")
    assert b"Retry-After" in turned_away
    assert answered.startswith(b"HTTP/1.1 200")
    assert port.refused == {"too-many": 1}


# Opens argv[3] connections to argv[1:3]: of every four one says nothing, one stops within its header, one within its
# body, one asks and hangs up. Says so when it has opened all, and lets go when its input ends.
HAMMER = """
import resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
says = (
    b"",
    b"POST /answer HTTP/1.1\\r\\nHost: local",
    b"POST /answer HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: image/png\\r\\nContent-Length: 9999\\r\\n\\r\\nx",
    b"GET /livez HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n",
)
kept = []
for number in range(int(sys.argv[3])):
    one = socket.create_connection((sys.argv[1], int(sys.argv[2])), 60)
    try:
        one.sendall(says[number % 4])
    except OSError:
        pass
    if number % 4 == 3:
        one.close()
    else:
        kept.append(one)
print(len(kept), flush=True)
sys.stdin.read()
"""


@pytest.mark.host
@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_frames_go_on_while_thousands_connect(
    local_port: MakePort, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    """While a program opens connections and leaves them hanging, frames of the daemon's own are answered between them;
    afterwards the next photo that is posted is answered, and nothing of the others is left, in the log neither.
    """
    port = local_port(max_connections=64, header_timeout_s=0.3, body_timeout_s=0.3)

    async def scenario() -> tuple[int, int]:
        async with port:
            host, tcp = port.web.address.removeprefix("http://").split(":")
            hammer = await asyncio.create_subprocess_exec(
                sys.executable, "-c", HAMMER, host, tcp, str(number), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            all_taken = asyncio.create_task(after(hammer))
            frames = 0
            while not all_taken.done():
                await port.frame()
                frames += 1
            # Until the last ones that have a place are given up.
            while not (await port.send(PHOTO + CLOSE + b"good")).startswith(b"HTTP/1.1 200"):
                await asyncio.sleep(0.05)
            await hammer.communicate(b"")
            while port.open_connections:
                await asyncio.sleep(0)
            return await all_taken, frames

    async def after(hammer: asyncio.subprocess.Process) -> int:
        """How many it keeps open; connections are taken in their order, so one of ours that is taken was the last."""
        assert hammer.stdout is not None
        kept = int(await hammer.stdout.readline())
        await port.send(ALIVE + CLOSE)
        return kept

    kept, frames = asyncio.run(scenario())
    assert kept == number * 3 // 4
    assert frames > number / 100
    assert port.refused["too-many"] > 0
    assert port.held_bytes == 0
    assert caplog.records == []


# Addresses.


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:0", True),
        ("localhost:0", True),
        ("[::1]:0", True),
        ("127.8.8.8:0", True),
        ("0.0.0.0:0", False),
        ("unix:/run/x.sock", False),
    ],
)
def test_loopback_is_known(listen: str, expected: bool) -> None:
    """Names and numbers that lead to this machine only, by TCP."""
    assert is_loopback(listen) is expected


@pytest.mark.parametrize("listen", ["8470", "localhost", "localhost:http", ":8470", "127.0.0.1:70000", "a:-1"])
def test_what_is_no_address_is_said(listen: str) -> None:
    """With the key, the value, and an address as it should be."""
    with pytest.raises(ConfigError, match=r"^http\.listen: .*127\.0\.0\.1:8470"):
        open_socket(listen)


def test_a_port_in_use_is_said() -> None:
    """Two daemons cannot have one port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^http\.listen: 127\.0\.0\.1:{port} .*another process") as caught:
            open_socket(f"127.0.0.1:{port}")
    assert "\n" not in str(caught.value)


def test_a_name_that_leads_nowhere_is_said() -> None:
    """An address of another machine cannot be opened."""
    with pytest.raises(ConfigError, match=r"^http\.listen: 192\.0\.2\.1:8470 cannot be opened"):
        open_socket("192.0.2.1:8470")


def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    """One that a killed daemon left behind is no obstacle."""
    path = tmp_path / "daemon.sock"
    with open_socket(f"unix:{path}"):
        pass
    with open_socket(f"unix:{path}") as listener:
        assert listener.getsockname() == str(path)


def test_a_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    """Another daemon's goes on being served."""
    path = tmp_path / "daemon.sock"
    with open_socket(f"unix:{path}") as served:
        served.listen()
        with pytest.raises(ConfigError, match="is served by another process"):
            open_socket(f"unix:{path}")
        assert path.is_socket()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A wrong path destroys nothing."""
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="no socket"):
        open_socket(f"unix:{path}")
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """With the path, in one line."""
    with pytest.raises(ConfigError, match=r"^http\.listen: unix:.*nowhere/x.sock cannot be opened"):
        open_socket(f"unix:{tmp_path}/nowhere/x.sock")
