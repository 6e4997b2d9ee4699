"""Profiles this device: ceilings, kernels, models and the stages around them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge_runtime import kernels
from edge_runtime.models import Execution
from edge_runtime.profiling import ceilings, kernel_rows, model_rows, sensors
from edge_runtime.profiling.advice import advice
from edge_runtime.profiling.chrome_trace import Reading, Span, spans
from edge_runtime.profiling.fingerprint import fingerprint, usable_cores
from edge_runtime.profiling.report import FORMAT, Profile

if TYPE_CHECKING:
    from edge_runtime.models import Bundle
    from edge_runtime.profiling.kernel_rows import MeasuredKernel
    from edge_runtime.profiling.model_rows import MeasuredModel, MeasuredPipeline

ROOT = Path("/")
# Of the budget, where both are measured.
KERNELS_SHARE = 0.5
# No sensor changes faster; reading them all takes a millisecond.
READING_S = 0.25


class Wanted(NamedTuple):
    """What to measure: kernels, the models of a bundle, or both, rows by a pattern, and seconds for all samples.

    ``execution`` narrows models down; its threads are the most that they are run with, 0 all cores.
    """

    bundle: Bundle | None
    kernels: bool = True
    only: str = ""
    execution: Execution = Execution(threads=0)
    budget_s: float = 60.0


class Recorded(NamedTuple):
    """The profile, and what a trace shows of how it came about."""

    profile: Profile
    spans: list[Span]
    readings: list[Reading]


@dataclass
class _Watch:
    """Reads the sensors now and then."""

    root: Path
    readings: list[Reading] = field(default_factory=list)

    def look(self) -> None:
        now = time.perf_counter()
        if not self.readings or now - self.readings[-1].at >= READING_S:
            self.readings.append(Reading(now, sensors.read(self.root)))


def profile(wanted: Wanted, root: Path = ROOT) -> Recorded:
    """Measure; ``root`` is where the machine's own files lie."""
    start, created = time.perf_counter(), datetime.now(timezone.utc)
    before = sensors.read(root)
    watch = _Watch(root)
    threads = model_rows.thread_counts(wanted.execution.threads or usable_cores())
    limits = ceilings.measure(threads if wanted.bundle else [1], root)
    timed: list[MeasuredKernel] = []
    share = KERNELS_SHARE if wanted.bundle else 1.0
    if wanted.kernels:
        timed = kernel_rows.measure(wanted.only, share * wanted.budget_s, watch.look)
    models: list[MeasuredModel] = []
    pipelines: list[MeasuredPipeline] = []
    if wanted.bundle:
        rest_s = (1 - share if wanted.kernels else 1.0) * wanted.budget_s
        models, pipelines = model_rows.measure(
            wanted.bundle, wanted.execution, threads, wanted.only, rest_s, watch.look
        )
    rows = tuple(kernel_rows.row(one, limits) for one in timed)
    files = tuple(model_rows.model_row(one, limits) for one in models)
    systems = tuple(model_rows.pipeline_row(one) for one in pipelines)
    found = Profile(
        format=FORMAT,
        created=created.isoformat(timespec="seconds"),
        took=time.perf_counter() - start,
        fingerprint=fingerprint(root),
        before=before,
        after=sensors.read(root),
        ceilings=limits,
        kernels=rows,
        models=files,
        pipelines=systems,
        bundle=wanted.bundle.manifest.name if wanted.bundle else None,
        advice=advice(rows, files, systems, active_backend()),
    )
    return Recorded(found, spans(timed, models, pipelines), watch.readings)


def active_backend() -> str:
    """The name that reports give the backend in use."""
    info = kernels.backend()
    return f"native {info.isa}" if info.name == "native" else info.name
