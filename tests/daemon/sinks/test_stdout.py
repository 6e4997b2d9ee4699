"""Tests of edge_runtime.daemon.sinks.stdout."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from edge_runtime.daemon.sinks import stdout
from edge_runtime.daemon.sinks.lines import LineSink
from edge_runtime.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    """Both ends of a pipe; whoever closes one takes it out."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


def test_every_record_is_a_line(capfd, record, metrics, outcomes):
    """On the process's own standard output."""

    async def run() -> None:
        sink = LineSink("out", stdout.LinePipe(), metrics)
        await sink.start()
        await sink.put(record("one"))
        await sink.put(record("two"))
        await sink.close()

    asyncio.run(run())
    assert [json.loads(line)["key"] for line in capfd.readouterr().out.splitlines()] == ["one", "two"]
    assert outcomes() == {"written": 2}


def test_a_closed_pipe_is_an_error_of_the_record(pipe, record, metrics, outcomes):
    """Whoever read may go away without taking the daemon along."""

    async def run() -> None:
        sink = LineSink("out", stdout.LinePipe(pipe[1]), metrics)
        await sink.start()
        os.close(pipe.pop(0))
        for key in "ab":
            with pytest.raises(SinkError, match=f"^sink out: standard output: Broken pipe; the record {key} is lost$"):
                await sink.put(record(key))
        await sink.close()

    asyncio.run(run())
    assert outcomes() == {"lost": 2}


def test_who_does_not_read_misses_records(pipe, monkeypatch, record, metrics, outcomes):
    """The daemon does not stand still with its reader, and goes on when that does."""
    monkeypatch.setattr(stdout, "PATIENCE_MS", 20)
    os.set_blocking(pipe[1], False)
    with contextlib.suppress(BlockingIOError):
        while os.write(pipe[1], bytes(1 << 16)):
            pass
    os.set_blocking(pipe[1], True)

    async def run() -> None:
        sink = LineSink("out", stdout.LinePipe(pipe[1]), metrics)
        await sink.start()
        with pytest.raises(SinkError, match="standard output: not read for 20 ms; the record one is lost"):
            await sink.put(record("one"))
        os.read(pipe[0], 1 << 16)
        await sink.put(record("two"))
        await sink.close()

    asyncio.run(run())
    assert outcomes() == {"lost": 1, "written": 1}
