"""Bundles, and one ``Model`` interface over onnxruntime, LiteRT and tflite-runtime."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Protocol

from edge_runtime.errors import ModelError
from edge_runtime.models.bundle import Bundle, ModelFile, ModelSpec, Runtime
from edge_runtime.models.execution import DEFAULT_EXECUTION, Execution, Provider
from edge_runtime.models.onnx import OnnxModel
from edge_runtime.models.tflite import MODULES, TfliteModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Bundle", "Execution", "Model", "ModelFile", "ModelSpec", "installed_runtimes", "load_model", "open_model"]


class Model(Protocol):
    """A loaded model: named arrays in, named arrays out. Not to be shared between threads."""

    @property
    def runtime(self) -> str:
        """Name of the runtime that runs it."""

    @property
    def file(self) -> ModelFile:
        """The file that it was loaded from."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once; names are those of the bundle, shapes and dtypes those of its tensors."""


def installed_runtimes() -> tuple[Runtime, ...]:
    """Runtimes found on this machine, the preferred one first."""
    modules: dict[Runtime, str] = {
        "onnxruntime": "onnxruntime",
        "litert": MODULES["litert"].partition(".")[0],
        "tflite-runtime": MODULES["tflite-runtime"].partition(".")[0],
    }
    return tuple(runtime for runtime, module in modules.items() if importlib.util.find_spec(module))


def open_model(bundle: Bundle, spec: ModelSpec, execution: Execution = DEFAULT_EXECUTION) -> Model:
    """Load the first of ``spec``'s files that an installed runtime (or the named one) takes.

    Raises ``ModelError`` when no file fits, saying what would.
    """
    wanted = _runtimes(execution)
    precision = execution.precision
    for file in spec.files:
        for candidate in wanted:
            if candidate in file.runtimes and precision in (None, file.precision):
                return load_model(bundle.source(file), file, candidate, execution.threads, execution.provider)
    offered = ", ".join(f"{file.precision} for {'/'.join(file.runtimes)}" for file in spec.files)
    raise ModelError(
        f"{spec.name}: no file for runtime {'/'.join(wanted) or 'none installed'}, precision {precision or 'any'}; "
        f"it has {offered}; `pip install edge-runtime[onnxruntime]` installs the portable runtime"
    )


def _runtimes(execution: Execution) -> tuple[Runtime, ...]:
    """Those that may run it; raises ModelError for one that has no such provider."""
    if execution.provider == "cpu":
        return (execution.runtime,) if execution.runtime else installed_runtimes()
    if execution.runtime not in (None, "onnxruntime"):
        raise ModelError(
            f"provider {execution.provider}: {execution.runtime} runs on the CPU only; use the runtime onnxruntime"
        )
    return ("onnxruntime",)


def load_model(
    source: bytes | Path, file: ModelFile, runtime: Runtime, threads: int = 1, provider: Provider = "cpu"
) -> Model:
    """Load a model file, its bytes or (as one with weights beside it must be) its path, into one runtime."""
    try:
        if runtime == "onnxruntime":
            return OnnxModel(source, file, threads, provider)
        return TfliteModel(source, file, threads, runtime)
    except ImportError as error:
        raise ModelError(f"{runtime} is not installed ({error}); `pip install edge-runtime[{runtime}]`") from error
