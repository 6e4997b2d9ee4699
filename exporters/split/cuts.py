"""The cuts of a network: what a tensor weighs, what each side computes, and which cuts are worth a choice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx

from edge_runtime.errors import ArgumentError
from exporters.split.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporters.split.graph import Graph

SIGNED = {"Relu", "Clip", "Sigmoid", "HardSigmoid", "Softmax", "Abs"}
"""Operators whose output is never negative whatever comes in (Clip: with a minimum that is not)."""

KEEPS_SIGN = {
    "Add", "AveragePool", "Concat", "Dropout", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "Identity", "MaxPool",
    "Mul", "ReduceMax", "ReduceMean", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operators whose output is never negative when no input from the image is, nor any constant that is added."""

LAST_STEPS = {"Relu", "Clip", "BatchNormalization"}
"""Operators that runtimes compute together with the layer before them."""


@dataclass(frozen=True)
class Cut:
    """One tensor that every path passes: ``[batch, *shape]`` float32.

    ``name`` is short and plain, from the operator and the place in the network; ``tensor`` is the graph's own.
    Multiply-accumulates are those of one photo.
    """

    name: str
    tensor: str
    shape: tuple[int, ...]
    prefix_macs: int
    suffix_macs: int
    non_negative: bool

    @property
    def bytes(self) -> int:
        """Bytes of one photo's features in float32."""
        return 4 * math.prod(self.shape)


class Cuts(NamedTuple):
    """``offered`` cuts in order, and how many other single tensors were ``left_out``."""

    offered: tuple[Cut, ...]
    left_out: int

    def named(self, name: str) -> Cut:
        """The cut called ``name``, by its short name or the graph's; ``ArgumentError`` lists what there is."""
        for cut in self.offered:
            if name in {cut.name, cut.tensor}:
                return cut
        known = ", ".join(cut.name for cut in self.offered) or "none"
        raise ArgumentError(f"--at {name}: not a cut of this network; it has {known}")


def find_cuts(graph: Graph) -> Cuts:
    """Every cut whose tensor is float32 ``[batch, C, H, W]`` or ``[batch, C]`` with products on both sides of it."""
    tensors = graph.cut_points()
    products = [node for node in graph.model.graph.node if node.op_type in {"Conv", "Gemm", "MatMul"}]
    inner = [name for node in products for name in (*node.input, *node.output) if name in graph.producers]
    values, batch = _values(graph, {*tensors, *inner})
    macs = {node.output[0]: _macs(graph, node, values) // batch for node in products}
    total = _sum(macs, graph.before(graph.logits.name))
    offered: list[Cut] = []
    for tensor in tensors:
        spent = _sum(macs, graph.before(tensor))
        array = values[tensor]
        fits = array.dtype == np.float32 and array.ndim in {2, 4} and array.shape[0] == batch
        if fits and 0 < spent < total:
            name = f"{graph.producers[tensor].op_type.lower()}{len(offered) + 1}"
            offered.append(Cut(name, tensor, array.shape[1:], spent, total - spent, non_negative(graph, tensor)))
    return Cuts(tuple(offered), len(tensors) - len(offered))


def worth_a_choice(graph: Graph, cuts: Sequence[Cut]) -> list[Cut]:
    """Drop each cut that costs the device more than an earlier one and saves no byte.

    Of the tensors before an activation or normalisation and the one behind it, equal in size, the latter stays although
    it is later: the step costs next to nothing, and values that are never negative are cheaper to send.
    """
    covered = {name for cut in cuts for name in _before_last_step(graph, cut.tensor)}
    kept: list[Cut] = []
    for cut in cuts:
        if cut.tensor not in covered and all(cut.bytes < earlier.bytes for earlier in kept):
            kept.append(cut)
    return kept


def non_negative(graph: Graph, tensor: str) -> bool:
    """Whether the graph alone says that no value of ``tensor`` is ever negative."""
    constant = graph.constant(tensor)
    if constant is not None:
        return bool((constant >= 0).all())
    node = graph.producers.get(tensor)
    if node is None or node.op_type not in SIGNED | KEEPS_SIGN:
        return False
    if node.op_type == "Clip":
        return _clip_minimum(graph, node) >= 0
    inputs = node.input if node.op_type in {"Add", "Concat", "Mul"} else node.input[:1]
    return node.op_type in SIGNED or all(non_negative(graph, name) for name in inputs)


def _clip_minimum(graph: Graph, node: Any) -> float:
    for attribute in node.attribute:
        if attribute.name == "min":
            return float(attribute.f)
    constant = graph.constant(node.input[1]) if len(node.input) > 1 and node.input[1] else None
    return -math.inf if constant is None else float(constant)


def _before_last_step(graph: Graph, tensor: str) -> list[str]:
    """Tensors that only element-wise steps separate from ``tensor``, if that is activated or normalised."""
    found: list[str] = []
    node = graph.producers[tensor]
    steps = LAST_STEPS
    while node is not None and node.op_type in steps:
        moving = [name for name in node.input if name not in graph.weights and graph.constant(name) is None]
        if len(moving) != 1:
            break
        found += moving
        node = graph.producers.get(moving[0])
        steps = LAST_STEPS | {"Add", "Sub", "Mul", "Div", "Identity"}
    return found


def _values(graph: Graph, tensors: set[str]) -> tuple[dict[str, Any], int]:
    """Values of the image and of inner tensors for blank photos, and their number: 2 where the batch may vary."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    names = [*(tensors - {graph.logits.name}), graph.logits.name]
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    batch = graph.batch or 2
    images = np.zeros((batch, 3, graph.size, graph.size), np.float32)
    inputs = {graph.image.name: images}
    return inputs | Session(model)(inputs), batch


def _macs(graph: Graph, node: Any, values: dict[str, Any]) -> int:
    """Multiply-accumulates of one node."""

    def shape(name: str) -> tuple[int, ...]:
        return tuple(graph.weights[name].dims) if name in graph.weights else values[name].shape

    if node.op_type == "Conv":
        depth = math.prod(shape(node.input[1])[1:])
    else:
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        depth = shape(node.input[0])[0 if transposed else -1]
    return math.prod(shape(node.output[0])) * depth


def _sum(macs: dict[str, int], nodes: list[Any]) -> int:
    return sum(macs.get(node.output[0], 0) for node in nodes)
