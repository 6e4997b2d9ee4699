"""The local port over real connections, with a stand-in for the lane."""

from __future__ import annotations

import asyncio
import json
import stat
from typing import TYPE_CHECKING

import aiohttp
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_runtime.daemon.frames import Record
from edge_runtime.daemon.state import State
from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import Any

    MakePort = Callable[..., Any]

JPEG = {"Content-Type": "image/jpeg"}


def with_port(
    port: Any,
    act: Callable[[Any, aiohttp.ClientSession], Awaitable[Any]],
) -> Any:
    """Run an action against an open port."""

    async def scenario() -> Any:
        async with port:
            tcp = port.web.address.startswith("http")
            base = port.web.address if tcp else "http://localhost"
            connector = None if tcp else aiohttp.UnixConnector(port.web.address.removeprefix("unix:"))
            async with aiohttp.ClientSession(base, connector=connector) as client:
                return await act(port, client)

    return asyncio.run(scenario())


def posted(
    port: Any, body: Any = b"a photo", headers: dict[str, str] | None = None, path: str = "/answer/gate"
) -> tuple[int, dict[str, Any], Any]:
    """Status, JSON and headers of one posted photo's answer."""

    async def act(_: Any, client: aiohttp.ClientSession) -> tuple[int, dict[str, Any], Any]:
        async with client.post(path, data=body, headers={**JPEG, **(headers or {})}) as response:
            return response.status, await response.json(), response.headers

    return with_port(port, act)


def got(port: Any, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes, Any]:
    """Status, body and headers of one GET."""

    async def act(_: Any, client: aiohttp.ClientSession) -> tuple[int, bytes, Any]:
        async with client.get(path, headers=headers) as response:
            return response.status, await response.read(), response.headers

    return with_port(port, act)


# Photos.


@pytest.mark.parametrize("path", ["/answer/gate", "/answer"])
def test_a_posted_photo_is_answered_with_its_record(local_port: MakePort, path: str) -> None:
    """The response is the record that the sinks get; the photo's bytes came to the queue as they were sent."""
    port = local_port()
    status, body, headers = posted(port, b"a photo", {"X-Request-Name": "door 7"}, path)
    assert status == 200
    assert msgspec.convert(body, Record).name == "door 7"
    assert headers["Content-Type"] == "application/json"
    assert [one.image for one in port.taken] == [b"a photo"]
    assert port.held_bytes == 0


def test_a_name_may_come_in_the_address_or_be_a_number(local_port: MakePort) -> None:
    """``?name=`` names a photo; one without a name is numbered."""
    port = local_port()

    async def act(_: Any, client: aiohttp.ClientSession) -> list[str]:
        names = []
        for path in ("/answer?name=caf%C3%A9", "/answer", "/answer"):
            async with client.post(path, data=b"x", headers=JPEG) as response:
                names.append((await response.json())["name"])
        return names

    assert with_port(port, act) == ["café", "1", "2"]


@pytest.mark.parametrize("name", ["a" * 201, "line%0Abreak", "%1b[31m"])
def test_a_name_that_would_spoil_a_log_is_refused(local_port: MakePort, name: str) -> None:
    """Control characters and endless names never reach a record."""
    port = local_port()
    status, body, _ = posted(port, path=f"/answer/gate?name={name}")
    assert (status, port.taken) == (400, [])
    assert "name" in body["error"]


def test_a_request_may_shorten_its_deadline_only(local_port: MakePort) -> None:
    """``Deadline-Ms`` below the source's is taken, above it the source's holds."""
    for wanted, expected in (("200", 0.2), ("5000", 1.0)):
        port = local_port()
        assert posted(port, headers={"Deadline-Ms": wanted})[0] == 200
        (captured,) = port.taken
        assert captured.deadline_s - captured.captured_s == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("wanted", ["soon", "0", "-5", "nan"])
def test_a_deadline_that_is_none_is_refused(local_port: MakePort, wanted: str) -> None:
    """What is no number above 0 is said to be that."""
    status, body, _ = posted(local_port(), headers={"Deadline-Ms": wanted})
    assert (status, "Deadline-Ms" in body["error"]) == (400, True)


def test_what_is_no_image_is_refused(local_port: MakePort) -> None:
    """A form or JSON is told which types are taken."""
    status, body, _ = posted(local_port(), headers={"Content-Type": "application/json"})
    assert (status, "image/webp" in body["error"]) == (415, True)


def test_a_photo_that_cannot_be_read_is_the_senders_fault(local_port: MakePort) -> None:
    """The lane's one-line error comes back."""
    status, body, _ = posted(local_port(), b"bad photo", {"X-Request-Name": "x.jpg"})
    assert (status, body) == (422, {"error": "x.jpg: cannot be read as a picture"})


def test_nobody_at_that_name(local_port: MakePort) -> None:
    """A source that does not exist is named in the error."""
    status, body, _ = posted(local_port(), path="/answer/door")
    assert (status, "'door'" in body["error"]) == (404, True)


def test_a_full_queue_asks_to_come_again(local_port: MakePort) -> None:
    """With one photo being answered and one waiting, the third is turned away with a time to wait."""
    port = local_port(queue=1)

    async def act(port: Any, client: aiohttp.ClientSession) -> tuple[int, str, list[int]]:
        async def post() -> int:
            async with client.post("/answer", data=b"slow", headers=JPEG) as response:
                return response.status

        waiting = [asyncio.create_task(post())]
        while not port.taken:
            await asyncio.sleep(0)
        waiting.append(asyncio.create_task(post()))
        while not len(port.intake):
            await asyncio.sleep(0)
        async with client.post("/answer", data=b"third", headers=JPEG) as response:
            third = response.status, response.headers["Retry-After"]
        port.released.set()
        return *third, list(await asyncio.gather(*waiting))

    assert with_port(port, act) == (503, "1", [200, 200])


def test_a_stopped_source_says_so(local_port: MakePort) -> None:
    """A photo that comes while its source stops is not kept waiting."""
    port = local_port()

    async def act(port: Any, client: aiohttp.ClientSession) -> tuple[int, str]:
        await port.intake.close()
        async with client.post("/answer", data=b"x", headers=JPEG) as response:
            return response.status, (await response.json())["error"]

    status, error = with_port(port, act)
    assert (status, "stopped" in error) == (503, True)


def test_too_many_a_second_are_told_so(local_port: MakePort) -> None:
    """A source with a highest rate answers 429 to what comes sooner."""
    port = local_port(max_fps=1 / 60)

    async def act(_: Any, client: aiohttp.ClientSession) -> list[int]:
        statuses = []
        for _ in range(2):
            async with client.post("/answer", data=b"x", headers=JPEG) as response:
                statuses.append(response.status)
        return statuses

    assert with_port(port, act) == [200, 429]


def test_a_client_that_goes_away_leaves_nothing_behind(local_port: MakePort) -> None:
    """Its photo is answered all the same, its memory is given back, and its connection is forgotten."""
    port = local_port()

    async def act(port: Any, client: aiohttp.ClientSession) -> None:
        _, writer = await port.connect()
        writer.write(request(b"slow photo", f"Content-Length: {len(b'slow photo')}"))
        while not port.taken:
            await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()
        while port.open_connections:
            await asyncio.sleep(0)
        assert port.held_bytes > 0
        port.released.set()
        assert (await port.taken[0].answered).label == "church"
        await asyncio.sleep(0)
        assert port.held_bytes == 0
        async with client.post("/answer", data=b"next", headers=JPEG) as response:
            assert response.status == 200

    with_port(port, act)


def test_a_client_that_goes_away_while_waiting_for_room_takes_its_photo_along(local_port: MakePort) -> None:
    """Where photos may wait for room in the queue, one that nobody waits for is not queued any more."""
    port = local_port(queue=1, when_full="wait")

    async def act(port: Any, _: aiohttp.ClientSession) -> None:
        writers = []
        for expected in (lambda: port.taken, lambda: len(port.intake), lambda: port.held_bytes == 12):
            _, writer = await port.connect()
            writer.write(request(b"slow", "Content-Length: 4"))
            writers.append(writer)
            while not expected():
                await asyncio.sleep(0)
        writers[2].close()
        while port.held_bytes > 8:
            await asyncio.sleep(0)
        port.released.set()
        while port.held_bytes:
            await asyncio.sleep(0)
        assert len(port.taken) == 2
        for writer in writers:
            writer.close()

    with_port(port, act)


def request(
    body: bytes, *headers: str, method: str = "POST", path: str = "/answer/gate", host: str = "localhost"
) -> bytes:
    """A request as it is on the wire, after which the connection closes."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Content-Type: image/jpeg", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


# Who may ask.


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/state", "/metrics"])
def test_a_rebound_name_is_refused_on_loopback(local_port: MakePort, host: str, path: str) -> None:
    """A site whose name was made to point at this machine reads nothing."""
    assert got(local_port(), path, {"Host": host})[0] == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8470", "127.0.0.1:1", "[::1]:8470"])
def test_this_machines_names_are_taken(local_port: MakePort, host: str) -> None:
    """With any port, as tunnels change it."""
    assert got(local_port(), "/livez", {"Host": host})[0] == 200


def test_elsewhere_any_name_is_taken(local_port: MakePort) -> None:
    """Who listens for the network cannot know what it calls this machine."""

    async def act(_: Any, client: aiohttp.ClientSession) -> int:
        async with client.get("/livez", headers={"Host": "camera7.lan"}) as response:
            return response.status

    assert with_port(local_port(listen="0.0.0.0:0"), act) == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_another_sites_page_may_not_post(local_port: MakePort, origin: str) -> None:
    """A browser names the page that asks, and only our own may."""
    port = local_port()
    status, body, _ = posted(port, headers={"Origin": origin})
    assert (status, port.taken, "site" in body["error"]) == (403, [], True)


def test_our_own_page_may_post(local_port: MakePort) -> None:
    """The same origin is no stranger."""
    assert posted(local_port(), headers={"Origin": "http://localhost:8470", "Host": "localhost:8470"})[0] == 200


@pytest.mark.parametrize(("method", "path", "expected"), [("GET", "/answer", b"405"), ("GET", "/etc", b"404")])
def test_what_is_not_there_is_said_in_json(local_port: MakePort, method: str, path: str, expected: bytes) -> None:
    """Wrong methods and addresses get an error like all others."""

    async def act(port: Any, _: aiohttp.ClientSession) -> bytes:
        return await port.send(request(b"", method=method, path=path))

    head, _, body = with_port(local_port(), act).partition(b"\r\n\r\n")
    assert expected in head.splitlines()[0]
    assert "error" in json.loads(body)


# Health, metrics, state, page.


def test_health_says_why(local_port: MakePort) -> None:
    """Degraded is ready, failed is not; only what a restart may mend makes it not alive."""
    port = local_port()

    async def act(port: Any, client: aiohttp.ClientSession) -> list[tuple[int, int, str]]:
        seen = []
        for name, level in (("link", "ok"), ("link", "degraded"), ("sink", "failed"), ("models", "failed")):
            port.health.report(name, level, f"{name} is {level}")
            async with client.get("/livez") as live, client.get("/readyz") as ready:
                body = await ready.json()
                seen.append((live.status, ready.status, body["level"], body["conditions"][0]["reason"]))
        return seen

    assert with_port(port, act) == [
        (200, 200, "ok", "link is ok"),
        (200, 200, "degraded", "link is degraded"),
        (200, 503, "failed", "sink is failed"),
        (503, 503, "failed", "models is failed"),
    ]


def test_metrics_can_be_read_by_prometheus(local_port: MakePort) -> None:
    """Its own parser reads them, and finds this connection."""
    port = local_port()
    port.metrics.answers.labels("gate", "edge").inc(3)
    status, body, headers = got(port, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert families["edge_runtime_http_connections"].samples[0].value == 1
    (answers,) = [one for one in families["edge_runtime_answers"].samples if one.name.endswith("_total")]
    assert (answers.labels, answers.value) == ({"source": "gate", "decided_by": "edge"}, 3)


def test_the_state_is_there_as_json(local_port: MakePort) -> None:
    """Whoever has no browser reads the same."""
    port = local_port()
    status, body, headers = got(port, "/state")
    assert (status, headers["X-Content-Type-Options"]) == (200, "nosniff")
    assert msgspec.json.decode(body, type=State) == port.state


def test_the_page_may_run_nothing_but_itself(local_port: MakePort) -> None:
    """Its policy names the hashes of its own script and style and forbids everything remote."""
    status, body, headers = got(local_port(), "/")
    policy = headers["Content-Security-Policy"]
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert b"http://" not in body
    assert b"https://" not in body


def test_closing_lets_an_answer_through(local_port: MakePort) -> None:
    """A photo that is being answered when the port closes still gets its answer."""

    async def scenario() -> bytes:
        port = local_port()
        async with port:
            sending = asyncio.create_task(port.send(request(b"slow", "Content-Length: 4")))
            while not port.taken:
                await asyncio.sleep(0)
            closing = asyncio.create_task(port.web.close())
            await asyncio.sleep(0)
            port.released.set()
            await closing
            return await sending

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")


# The address.


def test_a_unix_socket_is_for_its_group_only(local_port: MakePort, tmp_path: Path) -> None:
    """It answers like the port, strangers cannot open it, and it is gone at the end."""
    path = tmp_path / "daemon.sock"

    async def act(port: Any, client: aiohttp.ClientSession) -> tuple[str, int, int]:
        async with client.post("/answer", data=b"x", headers={**JPEG, "Host": "whatever"}) as response:
            return port.web.address, response.status, stat.S_IMODE(path.stat().st_mode)

    assert with_port(local_port(listen=f"unix:{path}"), act) == (f"unix:{path}", 200, 0o660)
    assert not path.exists()


def test_a_port_that_cannot_be_opened_can_be_closed(local_port: MakePort) -> None:
    """The daemon's end is the same whether its port was opened or belongs to somebody else."""

    async def scenario() -> None:
        async with local_port() as first:
            second = local_port(listen=first.web.address.removeprefix("http://"))
            with pytest.raises(ConfigError, match="another process"):
                await second.web.start()
            await second.web.close()

    asyncio.run(scenario())
