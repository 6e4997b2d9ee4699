"""The network to split: one's own ONNX file, or a PyTorch network that is exported first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge_runtime.errors import ArgumentError
from edge_runtime.models.bundle import FrameSpec
from exporters.split.graph import Graph, read_graph

if TYPE_CHECKING:
    from torch import nn

    from exporters.bundle_spec import NetworkEntry

DEFAULT_SIZE = 224


class Network(NamedTuple):
    """A classifier as a graph, and as a PyTorch module where it came from there."""

    graph: Graph
    module: nn.Module | None = None


def open_network(entry: NetworkEntry, size: int | None, patch: int, classes: int, scratch: Path) -> Network:
    """Read ``entry.network`` if it is an .onnx file, else build and export it, by way of the folder ``scratch``.

    ``size`` is the image's side; without it the file's own, or what the network was made for.
    """
    if entry.network.endswith(".onnx"):
        if entry.weights is not None:
            raise ArgumentError(f"--weights {entry.weights}: {entry.network} has weights of its own; leave it out")
        return Network(read_graph(Path(entry.network), size))
    from exporters.networks.catalogue import build_network
    from exporters.networks.readings import read_as
    from exporters.onnx import export_onnx
    from exporters.validate_samples import samples_of, synthetic_photos

    size = size or _native_size(entry.network)
    module = build_network(entry, FrameSpec(size, patch), classes, Path())
    (sample,) = samples_of("cnn-filled", synthetic_photos(size, 1), (127.0,) * 3, (128.0,) * 3, patch)
    export_onnx(read_as("cnn-filled", module), sample, scratch / "network.onnx")
    return Network(read_graph(scratch / "network.onnx"), module)


def _native_size(network: str) -> int:
    if not network.startswith("efficientnet-lite"):
        return DEFAULT_SIZE
    from exporters.networks.efficientnet_lite import IMAGE_SIZES

    return {f"efficientnet-lite{variant}": size for variant, size in IMAGE_SIZES.items()}.get(network, DEFAULT_SIZE)
