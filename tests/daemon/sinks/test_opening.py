"""Tests of edge_runtime.daemon.sinks.opening."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.sinks.callback import CallbackSink
from edge_runtime.daemon.sinks.lines import LineSink
from edge_runtime.daemon.sinks.mqtt import MqttSink
from edge_runtime.daemon.sinks.opening import open_sink


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (config.JsonLines(name="one", path=Path("answers.jsonl")), LineSink),
        (config.Stdout(name="one"), LineSink),
        (config.Callback(name="one", url="http://localhost/"), CallbackSink),
        (config.Mqtt(name="one", host="localhost"), MqttSink),
    ],
)
def test_every_table_has_its_sink(settings, kind, metrics):
    """Under its name, and nothing wrong with it before it is started."""
    sink = open_sink(settings, None, metrics)

    assert type(sink) is kind
    assert (sink.name, sink.trouble) == ("one", "")


def test_a_file_of_lines_is_as_long_as_the_table_says(tmp_path, record, metrics):
    """Its length and how many are kept reach the file."""

    async def run() -> None:
        sink = open_sink(config.JsonLines(name="log", path=tmp_path / "a", max_bytes=600, keep=1), None, metrics)
        await sink.start()
        for key in "abcd":
            await sink.put(record(key))
        await sink.close()

    asyncio.run(run())
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "a.1"]
    assert json.loads((tmp_path / "a").read_bytes())["key"] == "d"
