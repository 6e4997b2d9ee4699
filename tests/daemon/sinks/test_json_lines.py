"""Tests of edge_runtime.daemon.sinks.json_lines and lines."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from edge_runtime.daemon.sinks.json_lines import LineFile
from edge_runtime.daemon.sinks.lines import LineSink
from edge_runtime.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where lines go."""
    return tmp_path / "answers.jsonl"


@contextmanager
def files_of_at_most(length: int) -> Iterator[None]:
    """A system that writes no file further than that, as a full disk would not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def lines_of(length: int, path: Path, count: int, keep: int = 2) -> None:
    """Append lines of ten bytes to a file of at most ``length``."""
    file = LineFile(path, length, keep)
    file.open()
    for number in range(count):
        file.append(b"line %04d\n" % number)
    file.close()


class TestFile:
    """Files of whole lines."""

    def test_long_files_are_renamed(self, path):
        """No file grows beyond its length, the newest lines are in the file itself, and the oldest are deleted."""
        lines_of(35, path, 11)

        assert path.read_text() == "line 0009\nline 0010\n"
        assert path.with_name("answers.jsonl.1").read_text() == "line 0006\nline 0007\nline 0008\n"
        assert path.with_name("answers.jsonl.2").read_text() == "line 0003\nline 0004\nline 0005\n"
        assert len(list(path.parent.iterdir())) == 3

    def test_no_old_files(self, path):
        """With none to keep the file begins anew."""
        lines_of(35, path, 4, keep=0)

        assert [one.name for one in path.parent.iterdir()] == ["answers.jsonl"]
        assert path.read_text() == "line 0003\n"

    def test_a_line_longer_than_a_file(self, path):
        """It has a file of its own."""
        lines_of(5, path, 2)

        assert path.read_text() == "line 0001\n"
        assert path.with_name("answers.jsonl.1").read_text() == "line 0000\n"

    def test_a_torn_line_is_ended(self, path):
        """What a crash left stays apart from what comes after it."""
        path.write_text("whole\nhal")
        lines_of(1000, path, 1)

        assert path.read_text() == "whole\nhal\nline 0000\n"

    @pytest.mark.parametrize("act", [lambda path: path.rename(f"{path}.old"), os.unlink], ids=["moved", "deleted"])
    def test_a_file_that_is_taken_away(self, path, act):
        """Another one is made where it was."""
        file = LineFile(path, 1000, 2)
        file.open()
        file.append(b"before\n")
        act(path)
        file.append(b"after\n")
        file.close()

        assert path.read_text() == "after\n"

    def test_a_full_disk_leaves_whole_lines(self, path):
        """A line that does not fit leaves nothing behind, and the next that does is written."""
        file = LineFile(path, 1000, 2)
        file.append(b"before\n")
        with files_of_at_most(12), pytest.raises(OSError, match="File too large"):
            file.append(b"too long for it\n")
        full = path.read_bytes()
        file.append(b"after\n")
        file.close()

        assert full == b"before\n"
        assert path.read_bytes() == b"before\nafter\n"


class TestSink:
    """Records in them."""

    def test_every_record_is_a_line(self, path, record, metrics, outcomes):
        """However many are put at once, in the order in which they were put, and folders are made."""
        path = path.parent / "a" / "b" / path.name

        async def run() -> None:
            sink = LineSink("log", LineFile(path, 1 << 20, 2), metrics)
            await sink.start()
            await asyncio.gather(*(sink.put(record(number)) for number in range(100)))
            await sink.close()

        asyncio.run(run())
        lines = path.read_text().splitlines()
        assert [json.loads(line)["key"] for line in lines] == [str(number) for number in range(100)]
        assert outcomes() == {"written": 100}

    def test_a_full_disk_loses_records_and_nothing_else(self, path, record, metrics, outcomes):
        """Each record that cannot be written is an error of its own, and the sink heals itself."""
        path.symlink_to("/dev/full")

        async def run() -> tuple[str, str]:
            sink = LineSink("log", LineFile(path, 1 << 20, 2), metrics)
            await sink.start()
            for key in "ab":
                with pytest.raises(SinkError, match=f"^sink log: {path}: No space left .*; the record {key} is lost$"):
                    await sink.put(record(key))
            trouble = sink.trouble
            path.unlink()
            await sink.put(record("c"))
            await sink.close()
            return trouble, sink.trouble

        trouble, after = asyncio.run(run())
        assert (trouble[-20:], after) == ("the record b is lost", "")
        assert json.loads(path.read_bytes())["key"] == "c"
        assert outcomes() == {"lost": 2, "written": 1}

    def test_a_path_that_cannot_be(self, tmp_path, metrics):
        """What no waiting would mend is said at the start."""
        (tmp_path / "file").touch()

        async def run() -> None:
            sink = LineSink("log", LineFile(tmp_path / "file" / "answers.jsonl", 1 << 20, 2), metrics)
            try:
                await sink.start()
            finally:
                await sink.close()

        with pytest.raises(SinkError, match=r"^sink log: .*answers.jsonl cannot be opened: (File exists|Not a dir.*)$"):
            asyncio.run(run())
