"""The trace: by the rules that Perfetto and about:tracing import it with."""

from __future__ import annotations

import json
from itertools import pairwise
from types import SimpleNamespace

import pytest

from edge_runtime.profiling import chrome_trace
from edge_runtime.profiling.chrome_trace import PIPELINE, Reading, Span
from edge_runtime.profiling.jobs import Findings, MeasuredStage
from edge_runtime.profiling.model_rows import MeasuredModel, MeasuredPipeline
from edge_runtime.profiling.report import Sensors
from edge_runtime.profiling.rounds import Sample


@pytest.fixture
def trace(tmp_path, rows) -> list[dict]:
    """Of two kernels, a model, a pipeline of two frames, and sensors, as a file holds it."""
    kernels = [
        SimpleNamespace(
            choice=SimpleNamespace(name=backend),
            case=SimpleNamespace(name=name),
            timed=SimpleNamespace(samples=[Sample(start, 1e-3, 10, 1e-4, None)]),
        )
        for backend, name, start in (
            ("native avx2", "gate", 10.0),
            ("native avx2", "softmax", 10.5),
            ("jit", "gate", 11.0),
        )
    ]
    net = MeasuredStage("net.onnx", None, 0.0, [Sample(12.0, 2e-3, 1, 2e-3, None)])
    model = MeasuredModel(rows.model(None, threads=2), [Findings([net])])
    stages = [
        MeasuredStage("decode", None, 0.0, [Sample(13.0, 1e-3, 1, 1e-3, None), Sample(13.1, 1e-3, 1, 1e-3, None)]),
        MeasuredStage("model", "net", 0.0, [Sample(13.001, 2e-3, 1, 2e-3, None), Sample(13.101, 2e-3, 1, 2e-3, None)]),
    ]
    pipeline = MeasuredPipeline("attention", [Findings(stages)])
    readings = [Reading(9.9, Sensors(50.0, 2400.0, ())), Reading(14.0, Sensors(60.0, None, None))]
    path = tmp_path / "trace.json"
    chrome_trace.save(path, chrome_trace.spans(kernels, [model], [pipeline]), readings)
    content = json.loads(path.read_text())
    assert content["displayTimeUnit"] == "ms"
    return content["traceEvents"]


def test_every_event_has_what_its_phase_needs(trace):
    """Times in microseconds from 0, durations that are not negative, numbers in counters."""
    for event in trace:
        assert {"ph", "name", "pid", "tid", "ts"} <= event.keys()
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
            assert isinstance(event["cat"], str)
        elif event["ph"] == "C":
            assert all(isinstance(value, float) for value in event["args"].values())
        else:
            assert event["ph"] == "M"
            assert event["name"] in ("process_name", "thread_name")
            assert isinstance(event["args"]["name"], str)
    assert min(event["ts"] for event in trace if event["ph"] != "M") == 0


def test_a_track_for_each_backend_and_runtime_and_one_for_pipelines(trace):
    """Named once each, and every event lies on a named one."""
    names = {event["tid"]: event["args"]["name"] for event in trace if event["name"] == "thread_name"}

    assert list(names.values()) == ["native avx2", "jit", "litert", PIPELINE]
    assert {event["tid"] for event in trace if event["ph"] == "X"} == names.keys()


def test_events_of_a_track_follow_each_other_or_nest(trace):
    """Importers drop what overlaps in part."""
    for track in {event["tid"] for event in trace if event["ph"] == "X"}:
        found = [(e["ts"], e["ts"] + e["dur"]) for e in trace if e["ph"] == "X" and e["tid"] == track]
        assert found == sorted(found, key=lambda span: (span[0], -span[1]))
        for (_, end), (next_start, next_end) in pairwise(found):
            assert next_start >= end - 1e-3 or next_end <= end + 1e-3


def test_times_are_those_of_the_samples(trace):
    """The first reading was the first thing that happened."""
    gate, softmax = (e for e in trace if e["ph"] == "X" and e["cat"] == "native avx2")

    assert gate["ts"] == pytest.approx(0.1e6)
    assert softmax["ts"] - gate["ts"] == pytest.approx(0.5e6)
    assert (gate["dur"], gate["args"]["calls"]) == (pytest.approx(1000), 10)


def test_counters_show_what_the_machine_tells(trace):
    """Temperature twice, the clock once."""
    counters = [(event["name"], event["args"]["value"]) for event in trace if event["ph"] == "C"]

    assert counters == [("temperature °C", 50.0), ("clock MHz", 2400.0), ("temperature °C", 60.0)]


def test_frames_lie_around_their_stages(trace):
    """In the pipelines' track."""
    frames = [e for e in trace if e["ph"] == "X" and e["name"] == "attention"]

    assert [frame["args"]["frame"] for frame in frames] == [0, 1]
    assert frames[0]["dur"] == pytest.approx(3000)


def test_nothing_measured_is_an_empty_trace():
    """But for the name of the process."""
    assert [event["name"] for event in chrome_trace.events([], [])] == ["process_name"]
    assert len(chrome_trace.events([Span("a", "b", 5.0, 1.0, {})], [])) == 3
