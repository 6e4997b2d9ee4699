"""One sentence on what dominates, from the figures alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edge_runtime.profiling.report import KernelRow, ModelRow, PipelineRow, Stage

# Below this share of a frame no stage dominates, and a change has to be worth as much to be proposed.
DOMINANT = 0.5
WORTH = 0.9
# Nearer to a ceiling than this, there is little left to gain.
NEAR = 0.5


class Dominant(NamedTuple):
    """The longest stage of a frame and its share."""

    stage: Stage
    share: float


def advice(
    kernels: tuple[KernelRow, ...], models: tuple[ModelRow, ...], pipelines: tuple[PipelineRow, ...], backend: str
) -> str:
    """About the first pipeline that was measured, else a model, else the slowest kernel of the ``backend`` in use."""
    measured = [pipeline for pipeline in pipelines if pipeline.stages]
    if measured:
        return _about_frame(measured[0], models)
    best = min((row for row in models if row.timing is not None), key=_seconds, default=None)
    if best is not None:
        return f"The quickest of the models is {best.model}: {_seconds(best) * 1e3:.1f} ms in {_how(best)}."
    own = [row for row in kernels if row.backend == backend] or list(kernels)
    if own:
        return _about_kernel(max(own, key=lambda row: row.timing.p50.value))
    return "Nothing was measured."


def dominant(pipeline: PipelineRow) -> Dominant:
    """The stage that takes longest."""
    stage = max(pipeline.stages, key=lambda one: one.timing.p50.value)
    return Dominant(stage, stage.timing.p50.value / pipeline.frame_s)


def _about_frame(pipeline: PipelineRow, models: tuple[ModelRow, ...]) -> str:
    stage, share = dominant(pipeline)
    frame = f"a frame of {pipeline.system} ({pipeline.frame_s * 1e3:.1f} ms)"
    if share < DOMINANT:
        parts = sorted(pipeline.stages, key=lambda one: -one.timing.p50.value)[:3]
        shares = ", ".join(f"{one.name} {one.timing.p50.value / pipeline.frame_s:.0%}" for one in parts)
        return f"No stage dominates {frame}: {shares}."
    if stage.model is None:
        return f"{share:.0%} of {frame} is {stage.name}, which runs no model: make photos smaller before it."
    running = " ".join(filter(None, (pipeline.runtime, pipeline.precision)))
    said = f"{share:.0%} of {frame} is the model {stage.model}" + (f" in {running}" if running else "")
    other = _quicker(stage, models)
    if other is None:
        return f"{said} at 1 thread; nothing that was measured runs it quicker."
    ratio = _seconds(other) / stage.timing.p50.value
    return f"{said} at 1 thread; {_how(other)} would take × {ratio:.2f} of it."


def _how(row: ModelRow) -> str:
    on = [] if row.provider == "cpu" else [row.provider]
    threads = f"{row.threads} threads" if row.threads > 1 else "1 thread"
    return " ".join([row.runtime, *on, row.precision, "at", threads])


def _quicker(stage: Stage, models: tuple[ModelRow, ...]) -> ModelRow | None:
    """The quickest row of the stage's model, if it is worth the change."""
    rows = [row for row in models if row.model == stage.model and row.timing is not None]
    best = min(rows, key=_seconds, default=None)
    return best if best is not None and _seconds(best) < WORTH * stage.timing.p50.value else None


def _seconds(row: ModelRow) -> float:
    return row.timing.p50.value if row.timing else float("inf")


def _about_kernel(row: KernelRow) -> str:
    said = f"The slowest kernel in {row.backend} is {row.name} ({row.timing.p50.value * 1e6:.0f} µs)"
    if row.bound is None or row.bandwidth_share is None or row.arithmetic_share is None:
        return f"{said}; without ceilings nobody can say what bounds it."
    share = max(row.bandwidth_share, row.arithmetic_share)
    limit = "memory's bandwidth" if row.bound == "memory" else "the arithmetic peak"
    verdict = "near its limit" if share >= NEAR else "bound by neither limit, rather by what depends on what"
    return f"{said}, at {share:.0%} of {limit}: {verdict}."
