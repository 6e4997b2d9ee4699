"""ONNX models through onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_runtime.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_runtime.models.bundle import ModelFile


def open_session(source: bytes | Path, name: str, threads: int) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU; raises ModelError, which calls the file ``name``."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning second thread costs more than it brings where cores are shared, as on a device they are.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise ModelError(f"{name}: onnxruntime {ort.__version__} cannot load it ({error})") from error


class OnnxModel:
    """One onnxruntime session on the CPU."""

    runtime = "onnxruntime"

    def __init__(self, source: bytes | Path, file: ModelFile, threads: int) -> None:
        self._session = open_session(source, file.path, threads)
        self.file = file
        self._inputs = {tensor.name: tensor.tensor for tensor in file.inputs}
        self._outputs = [tensor.name for tensor in file.outputs]
        self._tensors = [tensor.tensor for tensor in file.outputs]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Map named inputs to named outputs."""
        feed = {self._inputs[name]: array for name, array in inputs.items()}
        try:
            values = self._session.run(self._tensors, feed)
        except Exception as error:
            raise ModelError(f"{self.file.path}: onnxruntime cannot run it ({error})") from error
        return dict(zip(self._outputs, values, strict=True))
