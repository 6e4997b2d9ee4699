"""The PyTorch half before a cut, for TFLite: found by the value that the cut has in the ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx, nn

from edge_runtime.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_DIFFERENCE = 1e-4
"""Relative L2 error up to which two values are the same tensor; two layers of one network differ by far more."""


def torch_prefix(network: nn.Module, image: NDArray[np.float32], features: NDArray[np.float32]) -> nn.Module:
    """The part of ``network`` that turns ``image [1, 3, S, S]`` into ``features``, as a module of its own.

    Names of tensors do not survive the export to ONNX, values do. Raises ``ModelError`` if no tensor has them.
    """
    example = torch.from_numpy(image)
    whole = torch.export.export(network.eval(), (example,)).module(check_guards=False)
    assert isinstance(whole, fx.GraphModule)  # noqa: S101 - torch types it as any module
    recorder = _Recorder(whole, torch.from_numpy(features))
    with torch.no_grad():
        recorder.run(example)
    if recorder.found is None:
        raise ModelError(
            f"{type(network).__name__}: no tensor in PyTorch has the cut's value {list(features.shape)}; "
            "leave the tflite files out with --files"
        )
    return _up_to(whole, recorder.found)


class _Recorder(fx.Interpreter):
    """Runs a graph and notes the first node whose value is the wanted one."""

    def __init__(self, module: fx.GraphModule, wanted: torch.Tensor) -> None:
        super().__init__(module)
        self._wanted = wanted
        self.found: fx.Node | None = None

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if self.found is None and isinstance(value, torch.Tensor) and value.shape == self._wanted.shape:
            difference = torch.linalg.vector_norm(value - self._wanted) / torch.linalg.vector_norm(self._wanted)
            if difference < LARGEST_DIFFERENCE:
                self.found = n
        return value


def _up_to(whole: fx.GraphModule, last: fx.Node) -> fx.GraphModule:
    needed, waiting = set(), [last]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += node.all_input_nodes
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in whole.graph.nodes:
        if node in needed or node.op == "placeholder":
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[last])
    prefix = fx.GraphModule(whole, graph)
    prefix.delete_all_unused_submodules()
    return prefix
