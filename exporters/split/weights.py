"""Weights in a file of their own, which several graphs refer to: both halves of a network, or two readings of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import onnx
from onnx.external_data_helper import set_external_data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SMALLEST = 1024
"""Bytes below which a weight stays in the graph: it weighs nothing, and shape arithmetic may need to see it."""

ALIGNMENT = 64


def externalise(models: Sequence[onnx.ModelProto], path: Path) -> None:
    """Move the large weights of ``models`` into the file ``path``, equal ones once; graphs keep where each one lies.

    A part of a graph that is copied out afterwards refers to the same file, which must lie beside it.
    """
    places: dict[bytes, int] = {}
    with path.open("wb") as file:
        for weight in (weight for model in models for weight in model.graph.initializer):
            data = onnx.numpy_helper.to_array(weight).tobytes()
            if len(data) < SMALLEST:
                continue
            digest = hashlib.sha256(data).digest()
            if digest not in places:
                file.write(bytes(-file.tell() % ALIGNMENT))
                places[digest] = file.tell()
                file.write(data)
            for field in ("float_data", "int32_data", "int64_data", "double_data"):
                weight.ClearField(field)
            weight.raw_data = data
            set_external_data(weight, path.name, offset=places[digest], length=len(data))
            weight.ClearField("raw_data")
