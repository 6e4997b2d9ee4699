"""Measuring in a process of its own: one model must not be charged for another's memory, and may crash.

A job goes to `python -m edge_runtime.profiling.jobs` as JSON, its findings come back as JSON. Times are on the clock of
``time.perf_counter``, which all processes of a machine share.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.models import Bundle, load_model
from edge_runtime.models.bundle import ModelFile, Precision, Runtime
from edge_runtime.models.execution import Execution, Provider
from edge_runtime.profiling import ceilings, rounds
from edge_runtime.profiling.pipelines import Pipeline, open_pipeline
from edge_runtime.profiling.report import Clock
from edge_runtime.profiling.rounds import Chain, Sample, Task

if TYPE_CHECKING:
    from collections.abc import Callable

# An emulated processor needs most of it.
PATIENCE_S = 600.0
LAST_WORDS = 160
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"


class ModelJob(msgspec.Struct, frozen=True, tag="model"):
    """Load one file into one runtime and run it for so many seconds."""

    bundle: str
    file: str
    runtime: Runtime
    threads: int
    provider: Provider
    seconds: float


class PipelineJob(msgspec.Struct, frozen=True, tag="pipeline"):
    """Take a photo through a system's stages on the device for so many seconds."""

    bundle: str
    system: str
    runtime: Runtime | None
    precision: Precision | None
    threads: int
    provider: Provider
    seconds: float


class MeasuredStage(msgspec.Struct, frozen=True):
    """What was measured of one call."""

    name: str
    model: str | None
    first: float
    samples: list[Sample]


class Findings(msgspec.Struct, frozen=True):
    """What a job found, or why it could not: see `report.ModelRow`."""

    stages: list[MeasuredStage] = []
    load: float | None = None
    added_bytes: int | None = None
    peak_bytes: int | None = None
    runtime: str | None = None
    precision: str | None = None
    error: str | None = None


def clock_of(threads: int, provider: Provider) -> Clock:
    """One thread is timed by the processor's clock, which does not count what other programs take."""
    return "cpu" if threads == 1 and provider == "cpu" else "wall"


def run(job: ModelJob | PipelineJob) -> Findings:
    """Run the job in a fresh process; whatever goes wrong there is in the findings' ``error``."""
    command = [sys.executable, "-m", "edge_runtime.profiling.jobs"]
    try:
        done = subprocess.run(  # noqa: S603 - this package's own module
            command, input=msgspec.json.encode(job), capture_output=True, timeout=PATIENCE_S + job.seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Findings(error=f"no result after {PATIENCE_S + job.seconds:.0f} s")
    except OSError as error:
        return Findings(error=f"cannot start a process ({error})")
    if done.returncode:
        return Findings(error=_last_words(done))
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Findings)


def _last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    ended = f"ended by signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return f"{ended}: {lines[-1][:LAST_WORDS]}" if lines else ended


def perform(job: ModelJob | PipelineJob) -> Findings:
    """Run the job here."""
    try:
        return _measure_model(job) if isinstance(job, ModelJob) else _measure_pipeline(job)
    except EdgeRuntimeError as error:
        return Findings(error=str(error))


def _measure_model(job: ModelJob) -> Findings:
    bundle = Bundle.load(job.bundle)
    file = next(file for model in bundle.models("edge") for file in model.files if file.path == job.file)
    source = bundle.source(file)
    before = _memory("VmRSS")
    resettable = _reset_peak()
    start = time.perf_counter()
    model = load_model(source, file, job.runtime, job.threads, job.provider)
    load = time.perf_counter() - start
    inputs = made_up_inputs(file)
    task = Task(file.path, lambda: lambda: model.run(inputs))
    (timed,) = rounds.measure([task], job.seconds, clock=_clock(job), chain=ceilings.chain())
    peak = _memory("VmHWM") if resettable else None
    added = None if peak is None or before is None else max(peak - before, 0)
    return Findings([MeasuredStage(file.path, None, timed.first, timed.samples)], load, added, peak)


def made_up_inputs(file: ModelFile) -> dict[str, Any]:
    """One frame's worth of noise for every input, of its type."""
    rng = np.random.default_rng(0)
    return {
        tensor.name: rng.standard_normal([max(side, 1) for side in tensor.shape]).astype(tensor.dtype)
        for tensor in file.inputs
    }


def _measure_pipeline(job: PipelineJob) -> Findings:
    execution = Execution(job.runtime, job.precision, job.threads, job.provider)
    pipeline = open_pipeline(Bundle.load(job.bundle), job.system, execution)
    clock, chain = _clock(job), ceilings.chain()
    first = [sample.wall_s for sample in _take(pipeline, clock, None)]
    frames, end = [_take(pipeline, clock, chain)], time.perf_counter() + job.seconds
    while time.perf_counter() < end:
        frames.append(_take(pipeline, clock, chain))
    stages = [
        MeasuredStage(step.name, step.model, first[place], [frame[place] for frame in frames])
        for place, step in enumerate(pipeline.stages)
    ]
    return Findings(stages, runtime=pipeline.runtime, precision=pipeline.precision)


def _take(pipeline: Pipeline, clock: Callable[[], float], chain: Chain | None) -> list[Sample]:
    """Take one photo through; the time of each stage."""
    value: Any = pipeline.photo
    found = []
    before = rounds.cycle_length(clock, chain)
    for step in pipeline.stages:
        start, begun = time.perf_counter(), clock()
        value = step.run(value)
        taken, wall_s = clock() - begun, time.perf_counter() - start
        after = rounds.cycle_length(clock, chain)
        found.append(Sample(start, wall_s, 1, taken, rounds.shorter(before, after)))
        before = after
    return found


def _clock(job: ModelJob | PipelineJob) -> Callable[[], float]:
    return time.process_time if clock_of(job.threads, job.provider) == "cpu" else time.perf_counter


def _memory(key: str) -> int | None:
    """A line of /proc/self/status, in bytes."""
    with suppress(OSError):
        for line in STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return None


def _reset_peak() -> bool:
    """Let VmHWM start again from what is in use now; False where the kernel does not allow it."""
    try:
        CLEAR.write_text(RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def main() -> None:
    """The process that `run` starts."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=ModelJob | PipelineJob)
    sys.stdout.buffer.write(b"\n" + msgspec.json.encode(perform(job)) + b"\n")


if __name__ == "__main__":
    main()
