"""Weights in a file of their own, which every half of a network refers to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx.external_data_helper import set_external_data

if TYPE_CHECKING:
    from pathlib import Path

SMALLEST = 1024
"""Bytes below which a weight stays in the graph: it weighs nothing, and shape arithmetic may need to see it."""

ALIGNMENT = 64


def externalise(model: onnx.ModelProto, path: Path) -> None:
    """Move the large weights of ``model`` into the file ``path``; the graph keeps where each one lies.

    A part of the graph that is copied out afterwards refers to the same file, which must lie beside it.
    """
    with path.open("wb") as file:
        for weight in model.graph.initializer:
            data = onnx.numpy_helper.to_array(weight).tobytes()
            if len(data) < SMALLEST:
                continue
            file.write(bytes(-file.tell() % ALIGNMENT))
            for field in ("float_data", "int32_data", "int64_data", "double_data"):
                weight.ClearField(field)
            weight.raw_data = data
            set_external_data(weight, path.name, offset=file.tell(), length=len(data))
            weight.ClearField("raw_data")
            file.write(data)
