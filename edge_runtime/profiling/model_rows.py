"""The models' part of a profile: every file of the device's half in every runtime, and the stages of its systems.

Each row is measured in fresh processes, as often as there are passes, in an order that turns round: what one process
happened to get of caches and addresses does not make a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from tqdm import tqdm

from edge_runtime.models import installed_runtimes
from edge_runtime.profiling import jobs, rounds
from edge_runtime.profiling.jobs import Findings, ModelJob, PipelineJob
from edge_runtime.profiling.kernel_rows import matches
from edge_runtime.profiling.pipelines import systems_of
from edge_runtime.profiling.report import ModelRow, PipelineRow, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_runtime.models import Bundle, Execution
    from edge_runtime.profiling.report import Ceilings

PASSES = 2
# A process's start costs as much; shorter measurements would be mostly starting.
LEAST_S = 0.3


class MeasuredModel(NamedTuple):
    """A model's row, without figures yet, and what the passes found."""

    row: ModelRow
    found: list[Findings]


class MeasuredPipeline(NamedTuple):
    """A system, and what the passes found of its stages."""

    system: str
    found: list[Findings]


def thread_counts(most: int) -> list[int]:
    """1, 2, 4 and so on, and the most."""
    return sorted({1 << power for power in range(most.bit_length()) if 1 << power <= most} | {most})


def model_rows(bundle: Bundle, execution: Execution, threads: Iterable[int], only: str) -> list[ModelRow]:
    """Every file in every installed runtime that it claims, as far as ``execution`` and ``only`` allow."""
    rows = [
        ModelRow(
            model=model.name,
            file=file.path,
            runtime=runtime,
            precision=file.precision,
            provider=execution.provider if runtime == "onnxruntime" else "cpu",
            threads=count,
            clock=jobs.clock_of(count, execution.provider if runtime == "onnxruntime" else "cpu"),
            macs=model.macs,
        )
        for model in bundle.models("edge")
        for file in model.files
        for runtime in file.runtimes
        if runtime in installed_runtimes() and execution.runtime in (None, runtime)
        if execution.precision in (None, file.precision)
        for count in threads
    ]
    return [row for row in rows if matches(only, row.key)]


def measure(
    bundle: Bundle,
    execution: Execution,
    threads: Iterable[int],
    only: str,
    budget_s: float,
    after_job: Callable[[], Any],
) -> tuple[list[MeasuredModel], list[MeasuredPipeline]]:
    """Time all rows and all systems' stages."""
    models = [MeasuredModel(row, []) for row in model_rows(bundle, execution, threads, only)]
    systems = [MeasuredPipeline(system, []) for system in systems_of(bundle) if matches(only, system)]
    seconds = max(budget_s / PASSES / max(len(models) + len(systems), 1), LEAST_S)
    work: list[tuple[ModelJob | PipelineJob, list[Findings]]] = [
        (_model_job(bundle, one.row, seconds), one.found) for one in models
    ]
    work += [(_pipeline_job(bundle, one.system, execution, seconds), one.found) for one in systems]
    with tqdm(total=len(work) * PASSES, desc="models", unit="run", disable=None) as progress:
        for turn in range(PASSES):
            for job, found in work if turn % 2 == 0 else work[::-1]:
                found.append(jobs.run(job))
                after_job()
                progress.update()
    return models, systems


def _model_job(bundle: Bundle, row: ModelRow, seconds: float) -> ModelJob:
    return ModelJob(str(bundle.folder), row.file, row.runtime, row.threads, row.provider, seconds)  # type: ignore[arg-type]


def _pipeline_job(bundle: Bundle, system: str, execution: Execution, seconds: float) -> PipelineJob:
    runtime, precision, _, provider = execution
    return PipelineJob(str(bundle.folder), system, runtime, precision, 1, provider, seconds)


def model_row(measured: MeasuredModel, ceilings: Ceilings | None) -> ModelRow:
    """What the report says of it."""
    row, found = measured
    failed = next((one.error for one in found if one.error), None)
    if failed is not None:
        return msgspec.structs.replace(row, error=failed)
    stages = [one.stages[0] for one in found]
    timing = rounds.timing([sample for stage in stages for sample in stage.samples], stages[0].first)
    peak = ceilings.peak(threads=row.threads) if ceilings and row.provider == "cpu" else None
    return msgspec.structs.replace(
        row,
        load=_least(one.load for one in found),
        timing=timing,
        peak_share=2 * row.macs / timing.p50.value / peak.float_ops if peak and peak.float_ops else None,
        added_bytes=_least(one.added_bytes for one in found),
        peak_bytes=_least(one.peak_bytes for one in found),
    )


def pipeline_row(measured: MeasuredPipeline) -> PipelineRow:
    """What the report says of it."""
    system, found = measured
    failed = next((one.error for one in found if one.error), None)
    if failed is not None:
        return PipelineRow(system, error=failed)
    stages = tuple(
        Stage(
            together[0].name,
            rounds.timing([sample for stage in together for sample in stage.samples], together[0].first),
            together[0].model,
        )
        for together in zip(*(one.stages for one in found), strict=True)
    )
    return PipelineRow(system, found[0].runtime, found[0].precision, stages)


def _least(values: Iterable[Any]) -> Any:
    return min((value for value in values if value is not None), default=None)
