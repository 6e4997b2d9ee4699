"""Tensors that every path passes, and the parts between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import pytest
from onnx import TensorProto, helper

from edge_runtime.errors import ModelError
from exporters.split.graph import read_graph
from tests.exporters.split.conftest import residual_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporters.split.graph import Graph

CUTS = ["stem", "stem_relu", "sum", "sum_relu", "narrow", "pooled", "flat"]


def test_cuts_of_a_residual_network_are_outside_its_branches(residual: Graph) -> None:
    """What lies beside a shortcut is no cut; image and logits are none either."""
    assert residual.cut_points() == CUTS


def test_a_branch_of_control_flow_is_one_node(read: Callable[..., Graph]) -> None:
    """A tensor read only from within an If counts as read by it, and nothing inside can be a cut."""
    model = residual_model()
    shape = [None, 8, None, None]
    branches = {
        f"{way}_branch": helper.make_graph(
            [helper.make_node(op, ["sum_relu"], [f"{way}_out"])],
            way,
            [],
            [helper.make_tensor_value_info(f"{way}_out", TensorProto.FLOAT, shape)],
        )
        for way, op in (("then", "Identity"), ("else", "Neg"))
    }
    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    model.graph.node.insert(7, helper.make_node("If", ["yes"], ["chosen"], **branches))
    model.graph.node[8].input[0] = "chosen"
    graph = read(model)
    assert graph.cut_points() == [*CUTS[:4], "chosen", *CUTS[4:]]
    part = graph.part(graph.value("sum_relu", (8, 8, 8)), graph.logits)
    assert [node.op_type for node in part.graph.node][:2] == ["If", "Conv"]


def test_a_part_has_only_the_weights_it_needs(residual: Graph) -> None:
    """The halves divide the nodes and the weights, and the batch stays open."""
    cut = residual.value("sum_relu", (8, 8, 8))
    prefix, suffix = residual.part(residual.image, cut), residual.part(cut, residual.logits)
    assert {weight.name for weight in prefix.graph.initializer} == {"w0", "b0", "w1", "w2"}
    assert {weight.name for weight in suffix.graph.initializer} == {"w3", "w4"}
    assert len(prefix.graph.node) + len(suffix.graph.node) == len(residual.model.graph.node)
    assert suffix.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    onnx.checker.check_model(prefix)
    onnx.checker.check_model(suffix)


def _two_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, [1]))


def _two_outputs(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["n", 4]))


def _grey(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1


def _any_size(model: onnx.ModelProto) -> None:
    for side in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        side.dim_param = "side"


def _oblong(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_two_inputs, r"has 2 inputs \(x, age\); splitting needs one image and one output"),
        (_two_outputs, r"has 2 outputs \(answer, flat\)"),
        (_grey, r"input x is \['n', 1, 16, 16\], not an image float32 \[batch, 3, size, size\]"),
        (_any_size, "leaves the size of x open; give --image-size"),
        (_oblong, "x is 8 × 16; frames are square"),
    ],
)
def test_what_is_no_image_classifier_is_named(
    read: Callable[..., Graph], change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    """The message holds the file and the tensor."""
    model = residual_model()
    change(model)
    with pytest.raises(ModelError, match=message):
        read(model)


def test_an_open_size_is_fixed(read: Callable[..., Graph]) -> None:
    """A network for any size is split for the given one; another size than the file's is refused."""
    model = residual_model()
    _any_size(model)
    assert read(model, 32).size == 32
    with pytest.raises(ModelError, match="x has side 16, not 32; leave --image-size out"):
        read(residual_model(), 32)


def test_junk_is_named(tmp_path: Path) -> None:
    """A file that is no ONNX is refused in one line."""
    (tmp_path / "junk.onnx").write_bytes(b"\xff" * 50)
    with pytest.raises(ModelError, match=r"junk\.onnx: not an ONNX file"):
        read_graph(tmp_path / "junk.onnx")


def test_a_softmax_at_the_end_is_left_out(read: Callable[..., Graph]) -> None:
    """What comes out are logits, as from a network without it."""
    model = residual_model()
    model.graph.node.append(helper.make_node("Softmax", ["answer"], ["probabilities"]))
    model.graph.output[0].name = "probabilities"
    graph = read(model)
    assert graph.logits.name == "answer"
    assert graph.cut_points() == CUTS
