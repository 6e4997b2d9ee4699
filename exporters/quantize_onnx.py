"""Smaller ONNX files: float16 weights for any CPU, int8 matrix products for transformers."""

from __future__ import annotations

import logging
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

from exporters.onnx import check_versions

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_HALF = float(np.finfo(np.float16).max)


def halve_onnx(source: Path, path: Path) -> None:
    """Store matrices and kernels as float16 with a cast back to float32 behind each; inputs and outputs keep theirs.

    onnxruntime folds the casts away when it loads the file, so it runs at float32 speed on every CPU.
    """
    model = onnx.load(source)
    _halve(model)
    onnx.save(model, path)
    check_versions(path)


def quantize_onnx(source: Path, path: Path) -> None:
    """Make matrix products with constant weights int8 (per channel, activations measured as they come).

    Convolutions stay in floating point: dynamic int8 makes them several times slower. Their weights become float16.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = Path(folder, "prepared.onnx"), Path(folder, "quantised.onnx")
        with _no_advice():
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            _forget_weight_shapes(prepared)
            quantize_dynamic(
                prepared,
                quantised,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=["MatMul", "Gemm"],
            )
        halve_onnx(quantised, path)


def _forget_weight_shapes(path: Path) -> None:
    """The quantiser transposes weights and then trips over the shapes that the exporter had noted for them."""
    model = onnx.load(path)
    weights = {weight.name for weight in model.graph.initializer}
    noted = [value for value in model.graph.value_info if value.name not in weights]
    del model.graph.value_info[:]
    model.graph.value_info.extend(noted)
    onnx.save(model, path)


@contextmanager
def _no_advice() -> Iterator[None]:
    """The quantiser logs on the root logger that one should pre-process, also after one did."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _halve(model: onnx.ModelProto) -> None:
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
