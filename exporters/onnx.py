"""PyTorch to ONNX: opset 20 and IR 10, which onnxruntime 1.18 and later load; dynamic batch and token count."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch

from edge_runtime.errors import ModelError
from edge_runtime.models.bundle import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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
    check_versions(path)


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


def _tensors(values: Iterable[onnx.ValueInfoProto]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            value.name,
            value.name,
            tuple(-1 if dim.dim_param else dim.dim_value for dim in value.type.tensor_type.shape.dim),
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
        )
        for value in values
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what the exporter says about optional packages and its own internals."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
