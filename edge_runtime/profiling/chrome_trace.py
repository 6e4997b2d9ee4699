"""What was measured when, as Chrome trace events: open the file in Perfetto or about:tracing.

One track for each backend and each runtime, one for the pipelines, and counters of temperature and clock. The format is
Google's "Trace Event Format": complete events (X), counters (C) and names (M), times in microseconds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge_runtime.profiling.kernel_rows import MeasuredKernel
    from edge_runtime.profiling.model_rows import MeasuredModel, MeasuredPipeline
    from edge_runtime.profiling.report import Sensors
    from edge_runtime.profiling.rounds import Sample

PROCESS = 1
PIPELINE = "pipelines"


class Span(NamedTuple):
    """Something that took its time on a track; seconds on the clock of ``time.perf_counter``."""

    track: str
    name: str
    start: float
    seconds: float
    args: dict[str, Any]


class Reading(NamedTuple):
    """The sensors at a time."""

    at: float
    sensors: Sensors


def spans(
    kernels: Sequence[MeasuredKernel], models: Sequence[MeasuredModel], pipelines: Sequence[MeasuredPipeline]
) -> list[Span]:
    """Every sample that was taken."""
    found = [_span(one.choice.name, one.case.name, sample) for one in kernels for sample in one.timed.samples]
    for model in models:
        for findings in model.found:
            for stage in findings.stages:
                found += [_span(model.row.runtime, f"{stage.name} ×{model.row.threads}", one) for one in stage.samples]
    for pipeline in pipelines:
        for findings in pipeline.found:
            found += _frames(pipeline.system, [(stage.name, stage.samples) for stage in findings.stages])
    return found


def _span(track: str, name: str, sample: Sample) -> Span:
    return Span(track, name, sample.start, sample.wall_s, {"calls": sample.calls, "call_us": sample.seconds * 1e6})


def _frames(system: str, stages: Sequence[tuple[str, Sequence[Sample]]]) -> Iterator[Span]:
    """A span for each frame around those of its stages."""
    for number, samples in enumerate(zip(*(samples for _, samples in stages), strict=True)):
        start, last = samples[0].start, samples[-1]
        yield Span(PIPELINE, system, start, last.start + last.wall_s - start, {"frame": number})
        for (name, _), sample in zip(stages, samples, strict=True):
            yield _span(PIPELINE, name, sample)


def events(spans: Sequence[Span], readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """Names first, then everything in the order of time, which starts at 0."""
    origin = min([*(span.start for span in spans), *(reading.at for reading in readings)], default=0.0)
    tracks = {name: number for number, name in enumerate(dict.fromkeys(span.track for span in spans), 1)}
    names = [_name("process_name", 0, "edge-runtime profile")]
    names += [_name("thread_name", number, track) for track, number in tracks.items()]
    found = [_complete(span, tracks[span.track], origin) for span in spans]
    for reading in readings:
        found += _counters(reading, origin)
    return names + sorted(found, key=lambda event: (event["ts"], -event.get("dur", 0.0)))


def _name(what: str, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": PROCESS, "tid": thread, "ts": 0, "args": {"name": name}}


def _complete(span: Span, thread: int, origin: float) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": span.name,
        "cat": span.track,
        "pid": PROCESS,
        "tid": thread,
        "ts": (span.start - origin) * 1e6,
        "dur": span.seconds * 1e6,
        "args": span.args,
    }


def _counters(reading: Reading, origin: float) -> Iterator[dict[str, Any]]:
    values = {"temperature °C": reading.sensors.temperature_c, "clock MHz": reading.sensors.frequency_mhz}
    for name, value in values.items():
        if value is not None:
            at = (reading.at - origin) * 1e6
            yield {"ph": "C", "name": name, "pid": PROCESS, "tid": 0, "ts": at, "args": {"value": value}}


def save(path: Path, spans: Sequence[Span], readings: Sequence[Reading]) -> None:
    """Write the trace."""
    content = {"traceEvents": events(spans, readings), "displayTimeUnit": "ms"}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
