"""A TFLite file at a glance."""

from __future__ import annotations

import hashlib
import importlib
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.errors import ModelError
from edge_runtime.models import installed_runtimes
from edge_runtime.models.tflite import MODULES

if TYPE_CHECKING:
    from pathlib import Path


def describe_tflite(path: Path) -> dict[str, object]:
    """Tensors and operators, as an installed interpreter sees the file."""
    runtime = next((runtime for runtime in installed_runtimes() if runtime in MODULES), None)
    if runtime is None:
        raise ModelError(f"{path}: no TFLite interpreter is installed; `pip install edge-runtime[litert]`")
    try:
        interpreter = importlib.import_module(MODULES[runtime]).Interpreter(model_path=str(path))
    except (ValueError, RuntimeError, SystemError) as error:
        raise ModelError(f"{path}: {runtime} cannot read it ({error})") from error
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "read_with": runtime,
        "tensors": [
            {
                "direction": direction,
                "name": detail["name"],
                "shape": [int(side) for side in detail["shape"]],
                "dtype": np.dtype(detail["dtype"]).name,
            }
            for direction, details in (
                ("input", interpreter.get_input_details()),
                ("output", interpreter.get_output_details()),
            )
            for detail in details
        ],
        # The interpreters offer no public way to list operators.
        "operators": [
            {"operator": name, "count": count}
            for name, count in Counter(op["op_name"] for op in interpreter._get_ops_details()).most_common()
        ],
    }
