"""What the status page hears, over real connections."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import aiohttp
import msgspec
import numpy as np
import pytest

from edge_runtime.daemon import events as told
from edge_runtime.daemon.events import LISTENERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    MakePort = Callable[..., Any]


def listening(port: Any, act: Callable[[Any, aiohttp.ClientSession], Awaitable[Any]]) -> Any:
    """Run an action against an open port."""

    async def scenario() -> Any:
        async with port, aiohttp.ClientSession(port.web.address) as client:
            return await act(port, client)

    return asyncio.run(scenario())


def events(text: bytes) -> list[tuple[str, Any]]:
    """Name and data of each whole server-sent event."""
    found = []
    for block in text.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields["event"], json.loads(fields["data"])))
    return found


def show(port: Any, name: str) -> None:
    """One more picture."""
    record = msgspec.structs.replace(port.record, name=name)
    port.recent.add(record, np.zeros((16, 16, 3), np.uint8), 1, np.zeros(1, np.uint16), None)


def test_events_tell_the_state_and_each_picture_once(local_port: MakePort) -> None:
    """A page gets how many to keep, the state, the pictures so far, and a new one when there is one."""
    port = local_port(page_frames=5)

    async def act(port: Any, client: aiohttp.ClientSession) -> list[tuple[str, Any]]:
        show(port, "first")
        text = b""
        async with client.get("/events") as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            async for chunk in response.content.iter_any():
                text += chunk
                if text.count(b"event: shown") == 1 and b"second" not in text:
                    show(port, "second")
                if text.count(b"event: shown") == 2 and text.endswith(b"\n\n"):
                    break
        return events(text)

    found = listening(port, act)
    assert found[0] == ("frames", 5)
    assert found[1][0] == "state"
    assert [data["record"]["name"] for event, data in found if event == "shown"] == ["first", "second"]


@pytest.mark.parametrize(("same", "expected"), [(True, ["second"]), (False, ["first", "second"])])
def test_a_page_that_comes_back_gets_only_what_it_missed(local_port: MakePort, same: bool, expected: list[str]) -> None:
    """A browser names the last event that it has seen; one of a daemon that ran before means nothing."""
    port = local_port()

    async def act(port: Any, client: aiohttp.ClientSession) -> list[tuple[str, Any]]:
        show(port, "first")
        seen = re.search(rb"id: (\S+)", await heard(client, 1))[1].decode()
        show(port, "second")
        return events(await heard(client, len(expected), seen if same else f"0.{seen}"))

    assert [data["record"]["name"] for event, data in listening(port, act) if event == "shown"] == expected


async def heard(client: aiohttp.ClientSession, pictures: int, seen: str = "") -> bytes:
    """The stream until that many pictures have come."""
    text = b""
    async with client.get("/events", headers={"Last-Event-ID": seen}) as response:
        while text.count(b"event: shown") < pictures or not text.endswith(b"\n\n"):
            text += await response.content.readany()
    return text


def test_only_so_many_pages_listen(local_port: MakePort) -> None:
    """One more is told to close another; when one has left there is room again."""
    port = local_port()

    async def act(port: Any, client: aiohttp.ClientSession) -> tuple[int, int]:
        open_ones = [await client.get("/events") for _ in range(LISTENERS)]
        async with client.get("/events") as response:
            refused = response.status
        open_ones.pop().close()
        while port.listeners == LISTENERS:
            await asyncio.sleep(0)
        async with client.get("/events") as response:
            again = response.status
        for one in open_ones:
            one.close()
        return refused, again

    assert listening(port, act) == (503, 200)


def test_closing_ends_the_streams(local_port: MakePort) -> None:
    """A page that listens does not hold up the daemon's end."""

    async def scenario() -> None:
        port = local_port()
        async with port:
            _, writer = await port.connect()
            writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while not port.listeners:
                await asyncio.sleep(0)
        assert port.listeners == 0
        writer.close()

    asyncio.run(scenario())


def test_a_page_that_does_not_read_is_cut(local_port: MakePort, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it leaves unread does not pile up: its connection ends, and its place is free."""
    monkeypatch.setattr(told, "STALLED_S", 0.1)
    port = local_port()
    port.state = msgspec.structs.replace(port.state, version="x" * 20_000_000)

    async def scenario() -> None:
        async with port:
            _, writer = await port.connect()
            writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while not port.listeners:
                await asyncio.sleep(0)
            while port.open_connections:
                await asyncio.sleep(0.01)
            assert port.listeners == 0
            writer.close()

    asyncio.run(scenario())
    assert port.refused == {"stalled": 1}
