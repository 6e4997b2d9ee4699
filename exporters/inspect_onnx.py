"""An ONNX file at a glance."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import onnx

from edge_runtime.errors import ModelError
from exporters.onnx import dimensions

if TYPE_CHECKING:
    from pathlib import Path


def describe_onnx(path: Path) -> dict[str, object]:
    """Versions, tensors, weights by type and operators by count; a dimension of -1 may vary."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's, which has no typed name
        raise ModelError(f"{path}: not an ONNX file ({error})") from error
    weights: Counter[str] = Counter()
    for weight in model.graph.initializer:
        weights[onnx.TensorProto.DataType.Name(weight.data_type).lower()] += onnx.numpy_helper.to_array(weight).nbytes
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "ir": model.ir_version,
        "opsets": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "weight_bytes": dict(weights.most_common()),
        "tensors": [
            {"direction": direction, "name": value.name, "shape": list(shape), "dtype": dtype}
            for direction, values in (("input", model.graph.input), ("output", model.graph.output))
            for value in values
            for shape, dtype in [dimensions(value)]
        ],
        "operators": [
            {"operator": name, "count": count}
            for name, count in Counter(node.op_type for node in model.graph.node).most_common()
        ],
    }
