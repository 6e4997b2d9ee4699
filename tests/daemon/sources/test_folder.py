"""Photos that are put into a folder."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.frames import Dropped
from edge_runtime.daemon.intake import Intake
from edge_runtime.daemon.sources import folder
from edge_runtime.daemon.sources.folder import Folder
from edge_runtime.errors import PhotoError, SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from edge_runtime.daemon.frames import Captured
    from edge_runtime.daemon.sources.folder import Taken

# An answer as a source sees it: that there is one.
RECORD: Any = object()


@asynccontextmanager
async def watched(path: Path, capacity: int = 16, before: Taken | None = None, **keys: Any) -> AsyncIterator[Intake]:
    """The queue of a running source; photos that are there already are taken too, unless ``keys`` say otherwise."""
    settings = {"settle_ms": 10, "existing": True} | keys
    intake = Intake(capacity, "oldest", "wait", None, lambda _: None)
    source = Folder(
        config.Folder(name="door", system=config.Local(), path=path, **settings), {} if before is None else before
    )
    running = asyncio.create_task(source.run(intake))
    try:
        yield intake
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def taken(intake: Intake) -> Captured:
    """The next frame; fails when none comes."""
    captured = await asyncio.wait_for(intake.take(), 20)
    assert captured is not None
    return captured


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does; fails when it does not."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("waited for in vain")


def names(path: Path) -> list[str]:
    """What is in a folder."""
    return sorted(one.name for one in path.iterdir())


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run it, and see that no thread is left."""
    before = set(threading.enumerate())
    asyncio.run(scenario)
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()


def test_a_photo_is_taken_with_its_name_and_bytes(tmp_path: Path) -> None:
    """The folder is made when it is not there; a photo's deadline begins when it is read."""

    async def scenario() -> None:
        async with watched(tmp_path / "new" / "in", deadline_ms=250) as intake:
            await until((tmp_path / "new" / "in").exists)
            (tmp_path / "new" / "in" / "a.JPG").write_bytes(b"a photo")
            captured = await taken(intake)
            assert (captured.name, captured.image) == ("a.JPG", b"a photo")
            assert captured.deadline_s - captured.captured_s == pytest.approx(0.25, abs=0.05)

    run(scenario())


def test_the_next_source_goes_on_where_one_was_stopped(tmp_path: Path) -> None:
    """What the first one took is left alone; what came meanwhile, or was found too late, is the next one's."""

    async def scenario() -> None:
        memory: Taken = {}
        async with watched(tmp_path, before=memory, existing=False, capacity=1) as intake:
            await until(lambda: tmp_path in memory)
            for age, name in enumerate(("b.jpg", "a.jpg")):
                (tmp_path / name).write_bytes(b"a photo")
                os.utime(tmp_path / name, (1000 - age, 1000 - age))
            await until(lambda: len(intake) == 1)
        (tmp_path / "c.jpg").write_bytes(b"a photo")
        async with watched(tmp_path, before=memory, existing=False) as after:
            found = {(await taken(intake)).name, (await taken(after)).name, (await taken(after)).name}
            assert found == {"a.jpg", "b.jpg", "c.jpg"}
            assert len(after) == 0

    run(scenario())


def test_existing_photos_come_in_the_order_of_their_making(tmp_path: Path) -> None:
    """When they are asked for."""
    for age, name in enumerate(("new.jpg", "middle.png", "old.webp")):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))

    async def scenario() -> None:
        async with watched(tmp_path) as intake:
            assert [(await taken(intake)).name for _ in range(3)] == ["old.webp", "middle.png", "new.jpg"]

    run(scenario())


def test_existing_photos_are_left_alone_unless_asked_for(tmp_path: Path) -> None:
    """Only those that come later are taken."""
    (tmp_path / "old.jpg").write_bytes(b"")

    async def scenario() -> None:
        async with watched(tmp_path, existing=False) as intake:
            for number in range(200):
                (tmp_path / f"new{number}.jpg").write_bytes(b"")
                if len(intake):
                    break
                await asyncio.sleep(0.05)
            assert (await taken(intake)).name.startswith("new")

    run(scenario())


def test_a_thousand_photos_at_once_are_each_taken_once(tmp_path: Path) -> None:
    """However small the queue; those that are answered are deleted when that was asked for."""
    seen: list[str] = []

    async def answer(intake: Intake) -> None:
        while (captured := await intake.take()) is not None:
            seen.append(captured.name)
            captured.recorded.set_result(RECORD)

    async def scenario() -> None:
        async with watched(tmp_path, capacity=4, after="delete") as intake:
            answering = asyncio.create_task(answer(intake))
            for number in range(1000):
                (tmp_path / f"{number}.jpg").write_bytes(b"photo")
            await until(lambda: not any(tmp_path.iterdir()))
            await intake.close()
            await answering

    run(scenario())
    assert sorted(seen) == sorted(f"{number}.jpg" for number in range(1000))


def test_a_photo_that_is_still_written_is_waited_for(tmp_path: Path) -> None:
    """Its half is not taken, as long as the rest comes within the time to settle."""
    written = threading.Event()

    def write() -> None:
        with (tmp_path / "slow.jpg").open("wb", buffering=0) as file:
            for _ in range(20):
                file.write(b"part")
                written.wait(0.02)

    async def scenario() -> None:
        async with watched(tmp_path, settle_ms=500) as intake:
            writing = asyncio.create_task(asyncio.to_thread(write))
            assert (await taken(intake)).image == b"part" * 20
            await writing

    run(scenario())


def test_a_photo_that_is_written_anew_is_taken_anew(tmp_path: Path) -> None:
    """Under its old name; one that merely stays there is not."""

    async def scenario() -> None:
        async with watched(tmp_path) as intake:
            (tmp_path / "a.jpg").write_bytes(b"one")
            assert (await taken(intake)).image == b"one"
            (tmp_path / "b.jpg").write_bytes(b"other")
            assert (await taken(intake)).image == b"other"
            (tmp_path / "a.jpg").write_bytes(b"another")
            assert (await taken(intake)).image == b"another"

    run(scenario())


def test_photos_are_deleted_when_their_answers_are_recorded_in_any_order(tmp_path: Path) -> None:
    """Nobody waits for the first answer before the second photo is offered, nor deletes before the record is safe."""

    async def scenario() -> None:
        (tmp_path / "a.jpg").write_bytes(b"a")
        (tmp_path / "b.jpg").write_bytes(b"b")
        async with watched(tmp_path, after="delete") as intake:
            first, second = await taken(intake), await taken(intake)
            second.answered.set_result(RECORD)
            second.recorded.set_result(RECORD)
            await until(lambda: names(tmp_path) == [first.name])
            first.recorded.set_result(RECORD)
            await until(lambda: names(tmp_path) == [])

    run(scenario())


def test_an_answer_that_comes_after_the_source_was_stopped_still_counts(tmp_path: Path) -> None:
    """The photo is not left there to be answered again at the next start."""
    (tmp_path / "a.jpg").write_bytes(b"a")

    async def scenario() -> None:
        async with watched(tmp_path, after="delete") as intake:
            captured = await taken(intake)
        captured.recorded.set_result(RECORD)
        await until(lambda: names(tmp_path) == [])

    run(scenario())


def test_answered_photos_are_moved_and_never_over_another(tmp_path: Path) -> None:
    """A second photo of a name that was moved before gets a name of its own."""

    async def scenario() -> None:
        into = tmp_path / "done"
        async with watched(tmp_path / "in", after="move", moved_to=into) as intake:
            await until(into.exists)
            for count, data in enumerate((b"one", b"other"), start=1):
                (tmp_path / "in" / "a.jpg").write_bytes(data)
                (await taken(intake)).recorded.set_result(RECORD)
                await until(lambda count=count: len(names(into)) == count)
        assert {one.read_bytes() for one in into.iterdir()} == {b"one", b"other"}
        assert (into / "a.jpg").read_bytes() == b"one"

    run(scenario())


def test_a_photo_that_was_given_up_stays(tmp_path: Path) -> None:
    """It has no answer, so it is not put away; another one goes on."""

    async def scenario() -> None:
        (tmp_path / "a.jpg").write_bytes(b"a")
        async with watched(tmp_path, after="delete") as intake:
            (await taken(intake)).fail(Dropped("full", "a.jpg: not answered"))
            (tmp_path / "b.jpg").write_bytes(b"b")
            (await taken(intake)).recorded.set_result(RECORD)
            await until(lambda: names(tmp_path) == ["a.jpg"])

    run(scenario())


@pytest.mark.parametrize(("after", "left"), [("delete", ["refused"]), ("keep", ["a.jpg"])])
def test_what_is_no_photo_is_put_aside(tmp_path: Path, after: str, left: list[str]) -> None:
    """Into ``refused``, unless files are kept; nothing there is taken again."""

    async def scenario() -> None:
        (tmp_path / "a.jpg").write_bytes(b"no photo")
        async with watched(tmp_path, after=after) as intake:
            (await taken(intake)).fail(PhotoError("a.jpg: cannot be read"))
            await until(lambda: names(tmp_path) == left)
        assert (tmp_path / "refused" / "a.jpg").exists() == (after == "delete")

    run(scenario())


def test_a_file_that_is_too_large_is_put_aside_unread(tmp_path: Path) -> None:
    """Nobody's photo has 64 MiB."""
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(folder.MAX_BYTES + 1)

    async def scenario() -> None:
        async with watched(tmp_path, after="delete") as intake:
            await until((tmp_path / "refused" / "huge.jpg").exists)
            assert len(intake) == 0

    run(scenario())


def test_only_plain_photos_are_taken(tmp_path: Path) -> None:
    """No links, pipes, folders, files of other kinds, and none whose names begin with a dot."""
    (tmp_path / "out.jpg").write_bytes(b"elsewhere")
    inside = tmp_path / "in"
    (inside / "folder.jpg").mkdir(parents=True)
    (inside / "link.jpg").symlink_to(tmp_path / "out.jpg")
    os.mkfifo(inside / "pipe.jpg")
    (inside / "text.txt").write_text("no photo")
    (inside / ".half.jpg").write_bytes(b"half")

    async def scenario() -> None:
        async with watched(inside) as intake:
            (inside / ".half.jpg").rename(inside / "whole.jpg")
            assert (await taken(intake)).name == "whole.jpg"
            (inside / "last.png").write_bytes(b"")
            assert (await taken(intake)).name == "last.png"

    run(scenario())


def test_a_photo_that_was_replaced_meanwhile_is_not_deleted(tmp_path: Path) -> None:
    """The answer was to the one before; the new one is taken in its turn."""

    async def scenario() -> None:
        (tmp_path / "a.jpg").write_bytes(b"one")
        async with watched(tmp_path, after="delete") as intake:
            first = await taken(intake)
            (tmp_path / ".a").write_bytes(b"other")
            (tmp_path / ".a").rename(tmp_path / "a.jpg")
            first.recorded.set_result(RECORD)
            second = await taken(intake)
            assert second.image == b"other"
            assert names(tmp_path) == ["a.jpg"]
            second.recorded.set_result(RECORD)
            await until(lambda: names(tmp_path) == [])

    run(scenario())


def test_a_folder_that_was_replaced_is_watched_on(tmp_path: Path) -> None:
    """Removed, or renamed and made again, as by a disk that was changed."""

    async def scenario() -> None:
        inside = tmp_path / "in"
        async with watched(inside) as intake:
            await until(inside.exists)
            (inside / "a.jpg").write_bytes(b"a")
            assert (await taken(intake)).name == "a.jpg"
            inside.rename(tmp_path / "away")
            await until(inside.exists)
            (inside / "b.jpg").write_bytes(b"b")
            assert (await taken(intake)).name == "b.jpg"

    run(scenario())


def test_photos_that_the_system_gave_no_word_of_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on network file systems, or after too many changes at once: now and then the whole folder is looked at."""
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "1")
    monkeypatch.setenv("WATCHFILES_POLL_DELAY_MS", "1000000")
    monkeypatch.setattr(folder, "QUIET_MS", 50)
    monkeypatch.setattr(folder, "WHOLE_S", 0.0)

    async def scenario() -> None:
        async with watched(tmp_path) as intake:
            (tmp_path / "a.jpg").write_bytes(b"a")
            await taken(intake)
            await asyncio.sleep(0.2)
            (tmp_path / "b.jpg").write_bytes(b"b")
            assert (await taken(intake)).name == "b.jpg"

    run(scenario())


def test_a_name_that_is_no_text_is_shown_as_text(tmp_path: Path) -> None:
    """The file is moved under its own name."""
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(path, "wb") as file:  # noqa: PTH123 - a name of bytes
        file.write(b"a")

    async def scenario() -> None:
        async with watched(tmp_path, after="delete") as intake:
            captured = await taken(intake)
            assert captured.name == "caf\ufffd.jpg"
            captured.recorded.set_result(RECORD)
            await until(lambda: not os.path.exists(path))  # noqa: PTH110

    run(scenario())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """When the source begins."""
    (tmp_path / "file").write_text("in the way")
    source = Folder(config.Folder(name="door", system=config.Local(), path=tmp_path / "file" / "in"), {})
    with pytest.raises(SourceError, match=r"file/in: Not a directory; give the daemon"):
        asyncio.run(source.run(Intake(1, "oldest", "wait", None, lambda _: None)))
