"""An ONNX graph as splitting sees it: which tensors every path passes, and the part between two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnx import TensorProto

from edge_runtime.errors import ModelError
from exporters.split.batch import with_open_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEWEST_IR = 10
"""What onnxruntime 1.18 loads; later versions of the format only add types that no convolutional network uses."""


class Graph:
    """A classifier with one ``image`` input float32 ``[batch, 3, S, S]`` and one ``logits`` output.

    ``batch`` is None where it may vary. Tensors are named as in the file.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.weights: dict[str, TensorProto] = {weight.name: weight for weight in model.graph.initializer}
        (self.image,) = (value for value in model.graph.input if value.name not in self.weights)
        (self.logits,) = model.graph.output
        self.producers: dict[str, Any] = {name: node for node in model.graph.node for name in node.output if name}
        side = self.image.type.tensor_type.shape.dim
        self.batch: int | None = side[0].dim_value or None
        self.size: int = side[2].dim_value

    def cut_points(self) -> list[str]:
        """Tensors that lie on every path from the image to the logits, in order, without these two themselves.

        These are the dominators of the output. The bodies of loops and branches are one node each, and what does not
        depend on the image is no path.
        """
        order, dominators = {self.image.name: 0}, {self.image.name: 1}
        for node in self.model.graph.node:
            found = [dominators[name] for name in sources(node) if name in dominators]
            if not found:
                continue
            common = found[0]
            for other in found[1:]:
                common &= other
            for name in filter(None, node.output):
                order[name] = len(order)
                dominators[name] = common | 1 << order[name]
        every = dominators.get(self.logits.name, 0)
        return [name for name, at in order.items() if every >> at & 1][1:-1]

    def before(self, tensor: str, start: str = "") -> list[Any]:
        """Nodes that ``tensor`` needs, in order; nothing behind the tensor ``start`` is followed."""
        wanted, found = [tensor], set()
        while wanted:
            node = self.producers.get(name := wanted.pop())
            if node is not None and name != start and id(node) not in found:
                found.add(id(node))
                wanted += sources(node)
        return [node for node in self.model.graph.node if id(node) in found]

    def part(self, start: onnx.ValueInfoProto, end: onnx.ValueInfoProto) -> onnx.ModelProto:
        """The model that computes ``end`` from ``start``, with its own copy of the weights (or references) it needs."""
        nodes = self.before(end.name, start.name)
        used = {name for node in nodes for name in sources(node)}
        model = onnx.ModelProto(ir_version=self.model.ir_version)
        model.opset_import.extend(self.model.opset_import)
        model.functions.extend(self.model.functions)
        model.graph.name = self.model.graph.name
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(weight for name, weight in self.weights.items() if name in used)
        model.graph.input.append(start)
        model.graph.output.append(end)
        return model

    def value(self, tensor: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        """Declare the float32 tensor ``[batch, *shape]`` as an input or output."""
        batch = self.batch or self.image.type.tensor_type.shape.dim[0].dim_param
        return onnx.helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [batch, *shape])

    def constant(self, name: str) -> Any:
        """The array behind ``name`` when it is a weight or a constant, possibly cast; else None."""
        if name in self.weights:
            return onnx.numpy_helper.to_array(self.weights[name])
        node = self.producers.get(name)
        if node is None or node.op_type not in {"Cast", "Constant"}:
            return None
        if node.op_type == "Cast":
            return self.constant(node.input[0])
        return next((onnx.numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"), None)


def sources(node: Any) -> list[str]:
    """Tensors that a node reads, also from within the branches or the body that it holds."""
    return [*filter(None, node.input), *_captured(node)]


def _captured(node: Any) -> Iterator[str]:
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from sources(inner)


def read_graph(path: Path, size: int | None = None) -> Graph:
    """Read a classifier's ONNX file for images of ``size`` pixels a side (default: what the file says).

    A softmax at its end is left out, for answers are made from logits. Raises ``ModelError`` unless the file maps one
    image to one vector.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's, which has no typed name
        raise ModelError(f"{path}: not an ONNX file ({str(error).splitlines()[0]})") from error
    graph = model.graph
    weights = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    for what, values in (("input", inputs), ("output", graph.output)):
        if len(values) != 1:
            names = ", ".join(value.name for value in values) or "none"
            raise ModelError(f"{path}: has {len(values)} {what}s ({names}); splitting needs one image and one output")
    _fix_image(path, inputs[0], size)
    model.ir_version = min(model.ir_version, NEWEST_IR)
    _keep_inputs(graph, weights)
    _leave_softmax_out(graph)
    return Graph(with_open_batch(model) or model)


def _fix_image(path: Path, image: Any, size: int | None) -> None:
    """Write the image's size into the graph where the file leaves it open."""
    tensor = image.type.tensor_type
    sides = tensor.shape.dim
    if tensor.elem_type != TensorProto.FLOAT or len(sides) != 4 or sides[1].dim_value not in {0, 3}:
        shape = [side.dim_value or side.dim_param or "?" for side in sides]
        raise ModelError(f"{path}: input {image.name} is {shape}, not an image float32 [batch, 3, size, size]")
    sides[1].dim_value = 3
    if not sides[0].dim_value:
        sides[0].dim_param = sides[0].dim_param or "batch"
    for side in sides[2:]:
        if size is None and not side.dim_value:
            raise ModelError(f"{path}: leaves the size of {image.name} open; give --image-size")
        if size is not None and side.dim_value not in {0, size}:
            raise ModelError(f"{path}: {image.name} has side {side.dim_value}, not {size}; leave --image-size out")
        side.dim_value = side.dim_value or size
    if sides[2].dim_value != sides[3].dim_value:
        raise ModelError(f"{path}: {image.name} is {sides[2].dim_value} × {sides[3].dim_value}; frames are square")


def _leave_softmax_out(graph: Any) -> None:
    (output,) = graph.output
    last = next((node for node in graph.node if output.name in node.output), None)
    if last is not None and last.op_type == "Softmax":
        output.name = last.input[0]
        graph.node.remove(last)


def _keep_inputs(graph: Any, weights: set[str]) -> None:
    """Old files list weights among the inputs, which keeps onnxruntime from folding them."""
    kept = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(kept)
