"""PyTorch to ONNX: opset 20 and IR 10, which onnxruntime 1.18 and later load; dynamic batch and token count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch

from edge_runtime.errors import ModelError
from edge_runtime.models.bundle import Tensor
from exporters.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from exporters.networks.readings import Reading
    from exporters.validate_samples import Sample

OPSET = 20
IR = 10


def export_onnx(reading: Reading, sample: Sample, path: Path) -> None:
    """Write ``reading`` as a float32 ONNX file; ``sample`` is one input of the right shape."""
    # From a batch of one the exporter concludes in places that it is always one.
    pair = {name: np.concatenate([array, array]) for name, array in sample.items()}
    with quiet():
        program = torch.onnx.export(
            reading.eval(),
            reading.example(pair),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
            input_names=list(reading.axes),
            output_names=list(reading.outputs),
            dynamic_shapes=reading.axes,
        )
    assert program is not None  # noqa: S101 - with dynamo=True there always is one
    program.save(path, external_data=False)
    forget_origin(path)
    check_versions(path)


def forget_origin(path: Path) -> None:
    """Drop the exporter's notes on where each node came from, which hold paths of the exporting machine."""
    model = onnx.load(path)
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        noted.doc_string = ""
        del noted.metadata_props[:]
    onnx.save(model, path)


def check_versions(path: Path) -> None:
    """Raise ``ModelError`` unless the file has our opset and IR: exporters do not always write what they are asked."""
    model = onnx.load(path, load_external_data=False)
    opsets = {entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}}
    if opsets != {OPSET} or model.ir_version != IR:
        written = f"opset {sorted(opsets)}, IR {model.ir_version}"
        raise ModelError(f"{path}: has {written}, not opset {OPSET}, IR {IR}; install the versions of the export extra")


def onnx_tensors(path: Path) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Inputs and outputs of an ONNX file, whose names are the bundle's own."""
    graph = onnx.load(path, load_external_data=False).graph
    return _tensors(graph.input), _tensors(graph.output)


def dimensions(value: onnx.ValueInfoProto) -> tuple[tuple[int, ...], str]:
    """Shape of an input or output (-1: any) and its dtype by numpy's name."""
    tensor = value.type.tensor_type
    shape = tuple(-1 if side.dim_param else side.dim_value for side in tensor.shape.dim)
    return shape, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name


def _tensors(values: Iterable[onnx.ValueInfoProto]) -> tuple[Tensor, ...]:
    return tuple(Tensor(value.name, value.name, *dimensions(value)) for value in values)
