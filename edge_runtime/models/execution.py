"""How models are run: by which runtime, at which precision, on how many threads, by which processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from edge_runtime.models.bundle import Precision, Runtime

Provider = Literal["cpu", "cuda", "tensorrt"]


class Execution(NamedTuple):
    """What is None is the first that fits. ``provider`` is onnxruntime's; where it is missing, the CPU serves."""

    runtime: Runtime | None = None
    precision: Precision | None = None
    threads: int = 1
    provider: Provider = "cpu"


DEFAULT_EXECUTION = Execution()
