"""What the daemon is made of, and how it changes over."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
import weakref
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.assembly import Assembly
from edge_runtime.daemon.health import Health
from edge_runtime.daemon.metrics import Metrics
from edge_runtime.errors import BundleError, ConfigError, EdgeRuntimeError, SinkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from edge_runtime.daemon.state import State

pytestmark = pytest.mark.host  # watched folders, and models loaded many times

ZOO = Path(__file__).parents[2] / "zoo"
SURE = config.Attention(eta=99.0)


class Place:
    """Where an assembly keeps its files; ``config`` makes configurations of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watched = folder / "in"
        self.file = config.JsonLines(name="file", path=folder / "answers.jsonl")

    def config(self, *sources: config.Source, **tables: Any) -> config.Config:
        """A configuration with these sources, a port of its own, and one sink of lines."""
        given = {"bundle": ZOO, "http": config.Http(listen="127.0.0.1:0"), "sink": (self.file,)} | tables
        return config.Config(source=sources, **given)

    def watching(self, **settings: Any) -> config.Folder:
        """A source of files."""
        return config.Folder(**{"name": "yard", "system": config.Local(), "path": self.watched} | settings)

    def put(self, name: str, photo: bytes) -> None:
        """Put a photo into the watched folder, at once as a whole."""
        (self.watched / f".{name}").write_bytes(photo)
        (self.watched / f".{name}").rename(self.watched / name)

    def answered(self, path: Path | None = None) -> Counter[str]:
        """How often each name was answered, as the sink has it."""
        path = path or self.file.path
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(json.loads(line)["name"] for line in lines)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty one."""
    return Place(tmp_path)


def gate(**settings: Any) -> config.Posted:
    """A source of posted photos."""
    return config.Posted(**{"name": "gate", "system": config.Local()} | settings)


@asynccontextmanager
async def assembled(whole: config.Config) -> AsyncIterator[Assembly]:
    """An assembly that has become a configuration, and is closed at the end."""

    def state() -> State:
        raise AssertionError

    assembly = Assembly(Metrics(), Health(), state)
    try:
        await assembly.change(whole)
        yield assembly
    finally:
        await assembly.close()


async def post(
    assembly: Assembly, photo: bytes | AsyncIterator[bytes], source: str = "gate", name: str = ""
) -> tuple[int, dict[str, Any]]:
    """Status and body."""
    assert assembly.web is not None
    async with aiohttp.ClientSession() as session:
        headers = {"Content-Type": "image/jpeg"} | ({"X-Request-Name": name} if name else {})
        async with session.post(f"{assembly.web.address}/answer/{source}", data=photo, headers=headers) as response:
            return response.status, await response.json()


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    while not happened():
        await asyncio.sleep(0.005)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it in a loop of its own, for a minute at most."""
    asyncio.run(asyncio.wait_for(test(), 60))


def test_what_a_change_leaves_alone_goes_on(place: Place, photos: list[bytes]) -> None:
    """Its very lane and model stay; the other source's are new."""

    async def test() -> None:
        before = place.config(gate(), place.watching(name="yard"))
        async with assembled(before) as assembly:
            kept, replaced = assembly.lanes
            (sink,) = assembly.sinks
            await assembly.change(place.config(gate(), place.watching(name="yard", max_fps=10)))
            assert assembly.lanes[0] is kept
            assert assembly.lanes[1] is not replaced
            assert assembly.sinks == [sink]
            await assembly.change(place.config(gate(), place.watching(name="yard", max_fps=10)))
            assert assembly.lanes[0] is kept
            assert (await post(assembly, photos[0]))[0] == 200

    run(test)


@pytest.mark.parametrize(
    "change",
    [
        {"models": config.Models(threads=2)},
        {"link": config.Link(server="127.0.0.1:1")},
        {"bundle": ZOO / "slimmable"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_a_source_is_made_from_counts_as_its_own(
    place: Place, photos: list[bytes], change: dict[str, Any]
) -> None:
    """Though its own table is the same."""

    async def test() -> None:
        async with assembled(place.config(gate())) as assembly:
            (before,) = assembly.lanes
            await assembly.change(place.config(gate(), **change))
            assert assembly.lanes != [before]
            assert (await post(assembly, photos[0]))[0] == 200

    run(test)


def test_a_bundle_that_was_replaced_in_its_folder_is_another_one(place: Place, photos: list[bytes]) -> None:
    """The configuration's words are the same; the models are not."""
    folder = place.folder / "bundle"
    folder.symlink_to(ZOO)

    async def test() -> None:
        async with assembled(place.config(gate(), bundle=folder)) as assembly:
            (before,) = assembly.lanes
            await assembly.change(place.config(gate(), bundle=folder))
            assert assembly.lanes == [before]
            folder.unlink()
            folder.symlink_to(ZOO / "slimmable")
            await assembly.change(place.config(gate(), bundle=folder))
            assert assembly.lanes != [before]
            assert (await post(assembly, photos[0]))[1]["bundle_hash"] == assembly.lanes[0].system.bundle.hash

    run(test)


def held() -> tuple[set[str], int]:
    """Names of the threads but the loop's own, and how many descriptors are open."""
    gc.collect()
    names = {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}
    return names, len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (gate(name="broken", bundle=ZOO / "none"), BundleError),
        (gate(name="broken", system=config.Local(edge_model="nobody")), BundleError),
        (gate(name="broken", system=config.Amot(plan=config.Plan(first=500)), bundle=ZOO / "amot"), ConfigError),
        (config.JsonLines(name="broken", path=Path("/proc/none/answers.jsonl")), SinkError),
        (config.Callback(name="broken", url="http://127.0.0.1:1", token_file=Path("/none")), SinkError),
    ],
    ids=["bundle", "model", "plan", "file", "token"],
)
def test_a_change_that_fails_changes_nothing_and_leaves_nothing(
    place: Place, photos: list[bytes], broken: config.Source | config.Sink, error: type[EdgeRuntimeError]
) -> None:
    """Whatever was made before the fault is closed again: sinks, sources, threads, files."""
    source = gate(name="scheduled", system=config.Bps(), bundle=ZOO / "lite0")
    sources, sinks = [gate(queue=7), source], [config.JsonLines(name="other", path=place.folder / "other.jsonl")]
    (sinks if isinstance(broken, config.JsonLines | config.Callback) else sources).append(broken)  # type: ignore[arg-type]

    async def test() -> None:
        async with assembled(place.config(gate())) as assembly:
            await post(assembly, photos[0])
            lanes, kept, before = assembly.lanes, assembly.sinks, held()
            with pytest.raises(error):
                await assembly.change(place.config(*sources, sink=(place.file, *sinks)))
            assert held() == before
            assert (assembly.lanes, assembly.sinks) == (lanes, kept)
            assert (await post(assembly, photos[0]))[0] == 200
            assert (await post(assembly, photos[0], "scheduled"))[0] == 404
        assert not {"device", "results"} & held()[0]

    run(test)


def test_what_was_replaced_is_gone(place: Place, photos: list[bytes], zoo_server: str) -> None:
    """Lane, model, connection and threads: a daemon may be reloaded every day for years."""

    def whole(queue: int) -> config.Config:
        scheduled = gate(name="scheduled", system=config.Bps(), bundle=ZOO / "lite0", queue=queue)
        return place.config(gate(queue=queue), scheduled, link=config.Link(server=zoo_server))

    async def test() -> None:
        async with assembled(whole(1)) as assembly:
            gone = []
            for queue in (2, 3, 4):
                assert (await post(assembly, photos[0], "scheduled"))[0] == 200
                gone += [weakref.ref(lane) for lane in assembly.lanes]
                await assembly.change(whole(queue))
                await until(lambda: not assembly._retiring)
                if queue == 2:
                    threads, descriptors = held()
            # Connections close behind one's back.
            await until(lambda: held()[0] <= threads and held()[1] <= descriptors)
            assert [lane() for lane in gone] == [None] * 6

    run(test)


def test_a_first_configuration_that_fails_leaves_nothing(place: Place) -> None:
    """Port and spool are let go of, so that a second start can have them."""
    whole = place.config(gate(bundle=ZOO / "none"), spool=config.Spool(path=place.folder / "spool" / "spool.db"))

    async def test() -> None:
        for _ in range(2):
            with pytest.raises(BundleError):
                async with assembled(whole):
                    pass

    run(test)


@pytest.mark.parametrize(
    "tables",
    [
        {"http": config.Http(listen="127.0.0.1:0", page_frames=3)},
        {"spool": config.Spool(path=Path("/tmp/spool.db"))},  # noqa: S108 - never made
    ],
    ids=lambda tables: next(iter(tables)),
)
def test_what_all_the_rest_stands_on_cannot_change(place: Place, tables: dict[str, Any]) -> None:
    """The message says what to do instead."""

    async def test() -> None:
        async with assembled(place.config(gate())) as assembly:
            (lane,) = assembly.lanes
            with pytest.raises(ConfigError, match=rf"^{next(iter(tables))}: cannot change .*; restart it$"):
                await assembly.change(place.config(gate(queue=7), **tables))
            assert assembly.lanes == [lane]

    run(test)


def test_photos_posted_during_changes_are_all_answered(place: Place, photos: list[bytes]) -> None:
    """The new lane's desk is open before the old one closes, and what the old one took it answers."""

    async def test() -> None:
        posts: list[asyncio.Task[tuple[int, dict[str, Any]]]] = []

        async def feed() -> None:
            while True:
                posts.append(asyncio.create_task(post(assembly, photos[len(posts) % 4], name=str(len(posts)))))
                await asyncio.sleep(0.004)

        async with assembled(place.config(gate(queue=500))) as assembly:
            feeding = asyncio.create_task(feed())
            for system in (SURE, config.Local(), SURE, config.Local()):
                await asyncio.sleep(0.03)
                await assembly.change(place.config(gate(queue=500, system=system)))
            feeding.cancel()
            statuses = Counter(status for status, _ in await asyncio.gather(*posts))
        assert statuses == {200: len(posts)}
        assert place.answered() == {str(number): 1 for number in range(len(posts))}

    run(test)


def test_a_photo_that_comes_slowly_is_answered_by_the_lane_that_is_there_then(
    place: Place, photos: list[bytes]
) -> None:
    """Its first bytes came to a desk that is closed by its last ones."""

    async def test() -> None:
        begun, changed = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield photos[0][:1000]
            begun.set()
            await changed.wait()
            yield photos[0][1000:]

        async with assembled(place.config(gate())) as assembly:
            posted = asyncio.create_task(post(assembly, slowly()))
            await begun.wait()
            await until(lambda: assembly.web._bodies.held_bytes > 0)
            await assembly.change(place.config(gate(system=SURE)))
            changed.set()
            status, record = await posted
        assert (status, record["system"]) == (200, "attention")

    run(test)


@pytest.mark.parametrize(("after", "existing"), [("keep", False), ("delete", True)])
def test_a_folder_answers_each_file_once_whatever_changes(
    place: Place, photos: list[bytes], after: config.After, existing: bool
) -> None:
    """Files that come in the middle of a change, and those that waited for their turn."""

    async def test() -> None:
        count = 0

        async def feed() -> None:
            nonlocal count
            while True:
                place.put(f"{count}.jpg", photos[count % 4])
                count += 1
                await asyncio.sleep(0.004)

        def watching(**settings: Any) -> config.Config:
            return place.config(place.watching(existing=existing, after=after, queue=4, settle_ms=0, **settings))

        async with assembled(watching()) as assembly:
            await until(place.watched.exists)
            feeding = asyncio.create_task(feed())
            for deadline_ms in (500, 501, 502):
                await asyncio.sleep(0.1)
                await assembly.change(watching(deadline_ms=deadline_ms))
            await asyncio.sleep(0.1)
            feeding.cancel()
            await until(lambda: len(place.answered()) == count)
        assert place.answered() == {f"{number}.jpg": 1 for number in range(count)}
        assert len(list(place.watched.glob("*.jpg"))) == (count if after == "keep" else 0)

    run(test)


def busy(assembly: Assembly) -> threading.Event:
    """Keep the models' thread busy with something else until the event is set."""
    go_on = threading.Event()
    assembly.models.submit(go_on.wait, 30)
    return go_on


def test_what_a_removed_source_had_captured_is_answered_and_its_sink_written_out(
    place: Place, photos: list[bytes]
) -> None:
    """Nothing of it stays behind but the records."""
    other = config.JsonLines(name="other", path=place.folder / "other.jsonl")

    async def test() -> None:
        going = gate(name="going", queue=50, sinks=("other",))
        async with assembled(place.config(gate(sinks=("file",)), going, sink=(place.file, other))) as assembly:
            staying, leaving = assembly.lanes
            await post(assembly, photos[0])
            before = held()
            go_on = busy(assembly)
            asked = [asyncio.ensure_future(post(assembly, photos[0], "going", str(number))) for number in range(12)]
            await until(lambda: leaving.state().queued + leaving.state().in_flight == 12)
            await assembly.change(place.config(gate(sinks=("file",))))
            assert assembly.lanes == [staying]
            go_on.set()
            assert [status for status, _ in await asyncio.gather(*asked)] == [200] * 12
            assert (await post(assembly, photos[0], "going"))[0] == 404
            await until(lambda: "sink-other_0" not in held()[0])
            assert held()[0] <= before[0]
            assert (await post(assembly, photos[0]))[0] == 200
        assert place.answered(other.path) == {str(number): 1 for number in range(12)}
        assert sum(place.answered().values()) == 2

    run(test)


def test_closing_answers_what_was_captured(place: Place, photos: list[bytes]) -> None:
    """Who posted gets the answer, and the sink has it."""

    async def test() -> None:
        async with assembled(place.config(gate(queue=50))) as assembly:
            (lane,) = assembly.lanes
            go_on = busy(assembly)
            asked = [asyncio.ensure_future(post(assembly, photos[0], name=str(number))) for number in range(12)]
            await until(lambda: lane.state().queued + lane.state().in_flight == 12)
            asyncio.get_running_loop().call_later(0.01, go_on.set)
        assert [status for status, _ in await asyncio.gather(*asked)] == [200] * 12
        assert place.answered() == {str(number): 1 for number in range(12)}

    run(test)


def test_a_source_is_there_when_a_change_is_over(place: Place, photos: list[bytes]) -> None:
    """A file that is put into the folder from then on is answered, though those that were there before are not."""
    place.watched.mkdir()
    place.put("before.jpg", photos[0])

    async def test() -> None:
        async with assembled(place.config(place.watching(), gate())) as assembly:
            place.put("after.jpg", photos[0])
            assert (await post(assembly, photos[0], name="posted"))[0] == 200
            await until(lambda: len(place.answered()) >= 2)
        assert place.answered() == {"after.jpg": 1, "posted": 1}

    run(test)
