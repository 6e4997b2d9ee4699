"""Tests of edge_runtime.transport.shaper."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from edge_runtime.errors import ArgumentError
from edge_runtime.transport import LinkShape, Shaper

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.host  # delays of milliseconds


@pytest.fixture
def echo() -> Iterator[str]:
    """Address of a TCP server that sends everything back, until its client has finished."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def connect(shaper: Shaper) -> socket.socket:
    """A connection through the shaper."""
    host, port = shaper.address.split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def round_trip_s(connection: socket.socket, size: int) -> float:
    """Seconds until ``size`` bytes have gone there and back."""
    start = time.monotonic()
    sender = threading.Thread(target=connection.sendall, args=(bytes(size),))
    sender.start()
    left = size
    while left:
        left -= len(connection.recv(1 << 16))
    sender.join()
    return time.monotonic() - start


class TestParse:
    """RATE/RTT on the command line."""

    @pytest.mark.parametrize(
        ("text", "rate_bps", "delay_s"),
        [
            ("5mbit/20ms", 5e6, 0.01),
            ("800kbit/100ms", 8e5, 0.05),
            ("1.5Gbit/0.5ms", 1.5e9, 0.00025),
            ("9600bit/0ms", 9600, 0),
        ],
    )
    def test_reads_rate_and_half_of_the_round_trip(self, text, rate_bps, delay_s):
        """The rate is in bit/s each way, the delay is half of the round trip."""
        assert LinkShape(rate_bps, delay_s) == LinkShape.parse(text)

    @pytest.mark.parametrize("text", ["", "5mbit", "20ms", "5mb/20ms", "5mbit/20", "-5mbit/20ms", "5mbit/20ms/1"])
    def test_says_how_to_write_it(self, text):
        """Anything else is answered with an example."""
        with pytest.raises(ArgumentError, match="is not RATE/RTT, write it like 5mbit/20ms"):
            LinkShape.parse(text)

    def test_rate_zero(self):
        """A link without a rate would never deliver."""
        with pytest.raises(ArgumentError, match="rate_bps: 0"):
            LinkShape.parse("0mbit/20ms")

    def test_infinite_delay(self):
        """A delay without end is a silence, which has its own word."""
        with pytest.raises(ArgumentError, match="must be finite"):
            LinkShape(delay_s=math.inf)


class TestShaping:
    """What the bytes feel."""

    def test_counts_every_byte_both_ways(self, echo):
        """The counters are exact when the last byte has arrived."""
        with Shaper(echo) as shaper, connect(shaper) as connection:
            round_trip_s(connection, 123_457)

            assert shaper.bytes_up == 123_457
            assert shaper.bytes_down == 123_457

    def test_delay_is_felt_both_ways(self, echo):
        """A small message needs the round-trip time and little more."""
        with Shaper(echo, LinkShape(delay_s=0.05)) as shaper, connect(shaper) as connection:
            assert 0.1 <= round_trip_s(connection, 10) < 0.3

    def test_rate_is_felt(self, echo):
        """50 kB at 1 Mbit/s need 0.4 s, with the way back overlapping."""
        with Shaper(echo, LinkShape(1e6)) as shaper, connect(shaper) as connection:
            assert 0.38 <= round_trip_s(connection, 50_000) < 0.9

    @pytest.mark.parametrize(("mbit", "size"), [(4, 200_000), (64, 1_600_000)])
    def test_a_steady_stream_comes_through_at_the_rate(self, echo, mbit, size):
        """A stream is never faster than its rate and, whatever the machine is doing, hardly slower."""
        needed_s = size * 8 / (mbit * 1e6)
        with Shaper(echo, LinkShape(mbit * 1e6)) as shaper, connect(shaper) as connection:
            assert needed_s <= round_trip_s(connection, size) < 1.3 * needed_s + 0.05

    def test_less_than_a_millisecond_is_felt(self, echo):
        """A short delay is neither left out nor rounded up to whole milliseconds."""
        with Shaper(echo, LinkShape(delay_s=0.0005)) as shaper, connect(shaper) as connection:
            assert 0.001 <= min(round_trip_s(connection, 10) for _ in range(50)) < 0.002

    def test_jitter_only_adds(self, echo):
        """Jitter delays and never reorders: the bytes come back, later."""
        with Shaper(echo, LinkShape(delay_s=0.02, jitter_s=0.02)) as shaper, connect(shaper) as connection:
            assert 0.04 <= round_trip_s(connection, 20_000) < 1

    def test_half_closed_connection(self, echo):
        """A sender that has finished still receives the rest."""
        with Shaper(echo, LinkShape(1e6, 0.01)) as shaper, connect(shaper) as connection:
            connection.sendall(b"last words")
            connection.shutdown(socket.SHUT_WR)

            assert connection.recv(100) == b"last words"
            assert connection.recv(100) == b""

    def test_last_bytes_are_delivered(self, echo):
        """Both ends having finished does not throw away what the receiver has yet to read."""
        with Shaper(echo) as shaper, connect(shaper) as connection:
            sender = threading.Thread(target=lambda: (connection.sendall(bytes(3_000_000)), connection.shutdown(1)))
            sender.start()
            received = 0
            while data := connection.recv(1 << 14):
                received += len(data)
                time.sleep(0.0005)
            sender.join()

        assert received == 3_000_000


class TestReshape:
    """Links that change."""

    def test_a_new_rate_holds_from_now_on(self, echo):
        """50 kB take 0.4 s at 1 Mbit/s, and 0.05 s on the same connection at 8 Mbit/s."""
        with Shaper(echo, LinkShape(1e6)) as shaper, connect(shaper) as connection:
            slow_s = round_trip_s(connection, 50_000)
            shaper.reshape(LinkShape(8e6))

            assert slow_s >= 0.4
            assert 0.05 <= round_trip_s(connection, 50_000) < 0.3

    def test_what_is_on_the_line_keeps_its_time(self, echo):
        """Bytes sent before the delay was taken away still need it, and nothing overtakes them."""
        with Shaper(echo, LinkShape(delay_s=0.2)) as shaper, connect(shaper) as connection:
            start = time.monotonic()
            connection.sendall(b"first, ")
            while shaper.bytes_up < 7:
                time.sleep(0.001)
            shaper.reshape(LinkShape())
            connection.sendall(b"second")
            received = b""
            while len(received) < 13:
                received += connection.recv(100)

            assert 0.2 <= time.monotonic() - start < 0.4
        assert received == b"first, second"


class TestBreaking:
    """Links that fail."""

    def test_cut_closes_what_is_open_and_accepts_anew(self, echo):
        """After a cut the old connection is gone and a new one works."""
        with Shaper(echo) as shaper:
            with connect(shaper) as connection:
                round_trip_s(connection, 10)
                shaper.cut()
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(10) == b""
            with connect(shaper) as connection:
                round_trip_s(connection, 10)

    def test_silence_holds_everything_until_resumed(self, echo):
        """During a silence nothing arrives and nothing is closed; afterwards everything does."""
        with Shaper(echo) as shaper, connect(shaper) as connection:
            round_trip_s(connection, 10)
            shaper.silence()
            connection.sendall(b"are you there")
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(100)
            shaper.resume()
            connection.settimeout(10)

            assert connection.recv(100) == b"are you there"

    def test_target_that_refuses(self):
        """A connection to nobody is closed, not left hanging."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            free = taken.getsockname()[1]
        with (
            Shaper(f"127.0.0.1:{free}") as shaper,
            connect(shaper) as connection,
            contextlib.suppress(ConnectionResetError),
        ):
            assert connection.recv(10) == b""

    @pytest.mark.parametrize("target", ["", "localhost", "localhost:", ":80", "host:http"])
    def test_target_without_host_or_port(self, target):
        """A target must be host:port."""
        with pytest.raises(ArgumentError, match="is not host:port"):
            Shaper(target)

    def test_closing_twice(self, echo):
        """Closing a closed shaper does nothing."""
        shaper = Shaper(echo)
        shaper.close()
        shaper.close()
