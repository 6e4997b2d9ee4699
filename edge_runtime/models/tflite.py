"""TFLite models through LiteRT, or through its legacy predecessor tflite-runtime."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edge_runtime.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    from edge_runtime.models.bundle import ModelFile

MODULES = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}


class TfliteModel:
    """One interpreter with fixed shapes."""

    def __init__(
        self, source: bytes | Path, file: ModelFile, threads: int, runtime: Literal["litert", "tflite-runtime"]
    ) -> None:
        self.runtime = runtime
        self.file = file
        interpreter = _module(runtime).Interpreter
        data = source if isinstance(source, bytes) else source.read_bytes()
        try:
            self._interpreter = interpreter(model_content=data, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, SystemError) as error:
            # SystemError: tflite-runtime beside numpy 2, which imports well and only fails here.
            raise ModelError(f"{file.path}: {runtime} cannot load it ({error})") from error
        inputs = {detail["name"]: detail for detail in self._interpreter.get_input_details()}
        outputs = {detail["name"]: detail for detail in self._interpreter.get_output_details()}
        self._inputs = {tensor.name: inputs[tensor.tensor] for tensor in file.inputs}
        self._outputs = {tensor.name: outputs[tensor.tensor] for tensor in file.outputs}

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Map named inputs to named outputs, copied out of the interpreter."""
        for name, array in inputs.items():
            detail = self._inputs[name]
            if tuple(detail["shape"]) != array.shape or detail["dtype"] != array.dtype:
                wanted = f"{np.dtype(detail['dtype']).name}{list(detail['shape'])}"
                raise ModelError(f"{self.file.path}: input {name} is {array.dtype}{list(array.shape)}, not {wanted}")
            self._interpreter.set_tensor(detail["index"], array)
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise ModelError(f"{self.file.path}: {self.runtime} cannot run it ({error})") from error
        return {name: self._interpreter.get_tensor(detail["index"]) for name, detail in self._outputs.items()}


def _module(runtime: str) -> ModuleType:
    """The runtime's module, imported in a thread of its own.

    On 64-bit ARM, what tflite-runtime links with makes the thread that loads it flush subnormal numbers to zero, and
    so would change what the kernels compute in this one. Raises ImportError.
    """
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        return elsewhere.submit(importlib.import_module, MODULES[runtime]).result()
