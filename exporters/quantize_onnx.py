"""Smaller ONNX files: float16 weights for any CPU, int8 matrix products for transformers, int8 convolutions."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from exporters.onnx import check_versions
from exporters.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

LARGEST_HALF = float(np.finfo(np.float16).max)
FIRST_PER_CHANNEL = 13


def halve_onnx(source: Path, path: Path) -> None:
    """Store matrices and kernels as float16 with a cast back to float32 behind each; inputs and outputs keep theirs.

    onnxruntime folds the casts away when it loads the file, so it runs at float32 speed on every CPU.
    """
    model = onnx.load(source)
    halve(model)
    onnx.save(model, path)
    check_versions(path)


def quantize_onnx(source: Path, path: Path) -> None:
    """Make matrix products with constant weights int8 (per channel, activations measured as they come).

    Convolutions stay in floating point: dynamic int8 makes them several times slower. Their weights become float16.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = Path(folder, "prepared.onnx"), Path(folder, "quantised.onnx")
        with quiet():  # it logs that one should pre-process, also after one did
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            _tidy(prepared)
            quantize_dynamic(
                prepared,
                quantised,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=["MatMul", "Gemm"],
            )
        halve_onnx(quantised, path)


def quantize_static_onnx(source: Path, path: Path, samples: Sequence[Mapping[str, NDArray[Any]]]) -> None:
    """Make convolutions and matrix products int8 (QDQ: weights signed and per channel, activations unsigned).

    Activations get the range that they had on ``samples``. ReLU and Clip count as part of the convolution before them:
    else its range would be that of values which they cut off, and EfficientNet-Lite0's features were half noise. Other
    operators stay in floating point: quantising them too costs accuracy and brings no speed.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "prepared.onnx")
        with quiet():
            quant_pre_process(_per_channel_ready(source, Path(folder)), prepared, skip_symbolic_shape=True)
            _tidy(prepared)
            quantize_static(
                prepared,
                path,
                _Samples(samples),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=["Conv", "MatMul", "Gemm", "Relu", "Clip"],
            )


class _Samples(CalibrationDataReader):  # type: ignore[misc]
    """Samples as the quantiser asks for them."""

    def __init__(self, samples: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        self._left = iter(samples)

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        return next(self._left, None)


def _per_channel_ready(source: Path, folder: Path) -> Path:
    """The file itself, or a copy in the first opset whose quantised weights may have a scale per channel."""
    model = onnx.load(source)
    opset = next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
    if opset >= FIRST_PER_CHANNEL:
        return source
    converted = folder / "converted.onnx"
    onnx.save(onnx.version_converter.convert_version(model, FIRST_PER_CHANNEL), converted)
    return converted


def _tidy(path: Path) -> None:
    """Drop what pre-processing notes too much of.

    The quantiser transposes weights and then trips over their noted shapes; domains that no node uses could only make
    an older onnxruntime refuse the file.
    """
    model = onnx.load(path)
    weights = {weight.name for weight in model.graph.initializer}
    _keep(model.graph.value_info, lambda value: value.name not in weights)
    used = {"", *(node.domain for node in model.graph.node)}
    _keep(model.opset_import, lambda entry: entry.domain in used)
    onnx.save(model, path)


def _keep(entries: Any, wanted: Callable[[Any], bool]) -> None:
    kept = [entry for entry in entries if wanted(entry)]
    del entries[:]
    entries.extend(kept)


def halve(model: onnx.ModelProto) -> None:
    """Do so to a model in memory."""
    casts = []
    for weight in model.graph.initializer:
        # Vectors (biases, norms, scales) weigh nothing and keep their precision.
        if weight.data_type != onnx.TensorProto.FLOAT or len(weight.dims) < 2:
            continue
        values = onnx.numpy_helper.to_array(weight)
        if np.abs(values).max() > LARGEST_HALF:
            continue
        name, stored = weight.name, f"{weight.name}_float16"
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(onnx.helper.make_node("Cast", [stored], [name], name=f"{name}_cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
