"""Bodies that are too large, too slow, too many, or not there."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.daemon import bodies, web

if TYPE_CHECKING:
    from collections.abc import Callable

    MakePort = Callable[..., Any]

HEAD = b"POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a refused sender still sends is not waited for."""
    monkeypatch.setattr(web, "LINGERING_S", 0.05)


def sized(size: int) -> bytes:
    """A header that promises so many bytes."""
    return HEAD + f"Content-Length: {size}\r\nConnection: close\r\n\r\n".encode()


def sent(port: Any, data: bytes) -> tuple[int, dict[str, Any]]:
    """Status and JSON of the answer to these bytes."""

    async def scenario() -> bytes:
        async with port:
            answer: bytes = await port.send(data)
            return answer

    head, _, body = asyncio.run(scenario()).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_body_that_promises_too_much_is_not_read(local_port: MakePort) -> None:
    """The header alone is refused, before any of its bytes came."""
    port = local_port(max_body_bytes=1000)
    status, body = sent(port, sized(1001))
    assert (status, "1000 bytes" in body["error"], port.taken) == (413, True, [])


def test_a_body_as_large_as_allowed_is_answered(local_port: MakePort) -> None:
    """The limit itself is within."""
    port = local_port(max_body_bytes=1000)
    assert sent(port, sized(1000) + b"x" * 1000)[0] == 200
    assert port.held_bytes == 0


def test_a_chunked_body_ends_at_the_limit(local_port: MakePort) -> None:
    """One that promises nothing is refused at the byte that is too many, and what was held is given back."""
    port = local_port(max_body_bytes=1000)
    status, body = sent(port, CHUNKED + b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n" + b"x" * 501 + b"\r\n")
    assert (status, "1000 bytes" in body["error"], port.taken, port.held_bytes) == (413, True, [], 0)


def test_a_compressed_body_is_taken_as_it_is(local_port: MakePort) -> None:
    """Nothing is unpacked, so that no small body becomes a large one."""
    port = local_port()
    data = HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\nConnection: close\r\n\r\n\x1f\x8b\x08ab"
    assert sent(port, data)[0] == 200
    assert port.taken[0].image == b"\x1f\x8b\x08ab"


@pytest.mark.parametrize("data", [sized(0), HEAD + b"Connection: close\r\n\r\n", CHUNKED + b"0\r\n\r\n"])
def test_no_body_is_no_photo(local_port: MakePort, data: bytes) -> None:
    """Whichever way nothing is sent."""
    port = local_port(header_timeout_s=0.2)
    status, body = sent(port, data)
    assert (status, "empty" in body["error"], port.taken) == (400, True, [])


@pytest.mark.parametrize("start", [sized(1000), CHUNKED + b"3e8\r\n"], ids=["sized", "chunked"])
def test_a_body_that_does_not_come_is_given_up(local_port: MakePort, start: bytes) -> None:
    """Its connection is closed in time and counted, and its memory given back."""
    port = local_port(body_timeout_s=0.1)
    status, body = sent(port, start + b"x" * 10)
    assert (status, "0.1 s" in body["error"]) == (408, True)
    assert (port.refused, port.held_bytes, port.taken) == ({"body-timeout": 1}, 0, [])


def test_all_bodies_together_have_a_limit(local_port: MakePort, monkeypatch: pytest.MonkeyPatch) -> None:
    """While others hold the memory a photo is asked to come again, and taken once they are answered."""
    monkeypatch.setattr(bodies, "TOGETHER_BYTES", 1500)
    port = local_port(max_body_bytes=1000)
    photo = b"slow" + bytes(996)

    async def scenario() -> tuple[bytes, list[bytes], bytes]:
        async with port:
            first = asyncio.create_task(port.send(sized(1000) + photo))
            while not port.taken:
                await asyncio.sleep(0)
            refused = await port.send(sized(1000) + photo)
            port.released.set()
            return refused, [await first], await port.send(sized(1000) + photo)

    refused, firsts, after = asyncio.run(scenario())
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 1" in refused
    assert firsts[0].startswith(b"HTTP/1.1 200")
    assert after.startswith(b"HTTP/1.1 200")
    assert port.held_bytes == 0
