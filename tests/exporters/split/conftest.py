"""A residual network small enough to know its cuts by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporters.split.graph import Graph, read_graph

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = 16


def residual_model(opset: int = 20, batch: int | str = "n") -> onnx.ModelProto:
    """Stem, a block with a shortcut, a strided convolution to fewer channels, pooling, classifier.

    Tensors that every path passes: stem, stem_relu, sum, sum_relu, narrow, pooled, flat.
    """
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["stem"], pads=[1] * 4, strides=[2, 2]),
        node("Relu", ["stem"], ["stem_relu"]),
        node("Conv", ["stem_relu", "w1"], ["inner"], pads=[1] * 4),
        node("Relu", ["inner"], ["inner_relu"]),
        node("Conv", ["inner_relu", "w2"], ["branch"], pads=[1] * 4),
        node("Add", ["branch", "stem_relu"], ["sum"]),
        node("Relu", ["sum"], ["sum_relu"]),
        node("Conv", ["sum_relu", "w3"], ["narrow"], strides=[2, 2]),
        node("GlobalAveragePool", ["narrow"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("Gemm", ["flat", "w4"], ["answer"], transB=1),
    ]
    rng = np.random.default_rng(0)
    shapes = {"w0": (8, 3, 3, 3), "b0": (8,), "w1": (8, 8, 3, 3), "w2": (8, 8, 3, 3), "w3": (4, 8, 1, 1), "w4": (3, 4)}
    weights = [
        numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), name) for name, shape in shapes.items()
    ]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])
    logits = helper.make_tensor_value_info("answer", TensorProto.FLOAT, [batch, 3])
    graph = helper.make_graph(nodes, "residual", [image], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[onnx.ModelProto], Graph]:
    """Read a model as its file would be read."""

    def through_a_file(model: onnx.ModelProto, size: int | None = None) -> Graph:
        onnx.save(model, tmp_path / "net.onnx")
        return read_graph(tmp_path / "net.onnx", size)

    return through_a_file


@pytest.fixture
def residual(read: Callable[[onnx.ModelProto], Graph]) -> Graph:
    """The residual network."""
    return read(residual_model())


@pytest.fixture
def residual_path(tmp_path: Path) -> Path:
    """Its file, with the batch open."""
    onnx.save(residual_model(), tmp_path / "residual.onnx")
    return tmp_path / "residual.onnx"
