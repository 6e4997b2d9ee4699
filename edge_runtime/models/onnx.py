"""ONNX models through onnxruntime."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edge_runtime.models.bundle import ModelFile
    from edge_runtime.models.execution import Provider

logger = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
# What the first one cannot run, the next one does.
PROVIDERS: dict[Provider, tuple[str, ...]] = {
    "cpu": (CPU,),
    "cuda": ("CUDAExecutionProvider", CPU),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", CPU),
}


def open_session(source: bytes | Path, name: str, threads: int, provider: Provider = "cpu") -> Any:
    """An ``onnxruntime.InferenceSession``; raises ModelError, which calls the file ``name``.

    Where this onnxruntime or this machine lacks the provider, the next one serves, and a line of log says so.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning second thread costs more than it brings where cores are shared, as on a device they are.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    built_in = ort.get_available_providers()
    try:
        session = ort.InferenceSession(
            source, options, providers=[_with_options(one) for one in PROVIDERS[provider] if one in built_in]
        )
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise ModelError(f"{name}: onnxruntime {ort.__version__} cannot load it ({error})") from error
    wanted, found = PROVIDERS[provider][0], session.get_providers()[0]
    if found != wanted:
        why = "cannot be started here" if wanted in built_in else "is not in this build"
        logger.warning("%s: onnxruntime %s: %s %s, %s runs it", name, ort.__version__, wanted, why, found)
    return session


def _with_options(provider: str) -> str | tuple[str, dict[str, str]]:
    if provider != "TensorrtExecutionProvider":
        return provider
    # Building an engine takes minutes on a board; it is kept for the next start.
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-runtime" / "tensorrt"
    return provider, {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache)}


class OnnxModel:
    """One onnxruntime session."""

    runtime = "onnxruntime"

    def __init__(self, source: bytes | Path, file: ModelFile, threads: int, provider: Provider) -> None:
        self._session = open_session(source, file.path, threads, provider)
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
