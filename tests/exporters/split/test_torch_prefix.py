"""The PyTorch half before a cut, and the TFLite files made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edge_runtime.errors import ArgumentError, ModelError
from edge_runtime.models import load_model
from exporters.bundle_files import model_file
from exporters.networks.readings import read_as
from exporters.onnx import export_onnx
from exporters.split.cuts import find_cuts
from exporters.split.device_files import DeviceFiles
from exporters.split.graph import read_graph
from exporters.split.halves import read_files
from exporters.split.session import Session
from exporters.split.torch_prefix import torch_prefix
from exporters.validate import check_file
from exporters.validate_samples import samples_of, synthetic_photos

if TYPE_CHECKING:
    from pathlib import Path

    from exporters.validate_samples import Sample


class Residual(nn.Module):
    """Two convolutions around a shortcut, normalised, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = self.stem(images)
        return self.head(torch.relu(x + self.block(x)).mean((2, 3)))


def alike(count: int) -> list[Sample]:
    """Photos that differ by noise only, so that a moving average of ranges holds for each."""
    noise = np.random.default_rng(0).integers(-20, 21, (count, 16, 16, 3))
    photos = (synthetic_photos(16, 1) + noise).clip(0, 255).astype(np.uint8)
    return samples_of("cnn-filled", photos, (127.0,) * 3, (64.0,) * 3, 1)


@pytest.fixture
def network() -> nn.Module:
    """With normalisation that does something."""
    torch.manual_seed(0)
    network = Residual()
    for norm in (network.stem[1], network.block[1]):
        nn.init.uniform_(norm.running_mean, -0.5, 0.5)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return network.eval().requires_grad_(False)


def test_every_cut_of_the_graph_is_found_in_pytorch(network: nn.Module, tmp_path: Path) -> None:
    """Also where the export folded layers together: the module gives the ONNX half's values."""
    images = [
        sample["image"] for sample in samples_of("cnn-filled", synthetic_photos(16, 2), (127.0,) * 3, (64.0,) * 3, 1)
    ]
    export_onnx(read_as("cnn-filled", network), {"image": images[0]}, tmp_path / "net.onnx")
    graph = read_graph(tmp_path / "net.onnx")
    cuts = find_cuts(graph).offered
    assert len(cuts) >= 4
    for cut in cuts:
        half = Session(graph.part(graph.image, graph.value(cut.tensor, cut.shape)))
        module = torch_prefix(network, images[0], half({"image": images[0]})[cut.tensor])
        np.testing.assert_allclose(
            module(torch.from_numpy(images[1])), half({"image": images[1]})[cut.tensor], atol=1e-5
        )


def test_a_value_that_no_layer_has_is_told(network: nn.Module) -> None:
    """Instead of a half that computes something else."""
    image = np.ones((1, 3, 16, 16), np.float32)
    with pytest.raises(ModelError, match=r"no tensor in PyTorch has the cut's value \[1, 8, 8, 8\]"):
        torch_prefix(network, image, np.ones((1, 8, 8, 8), np.float32))


@pytest.mark.parametrize("output", ["features", "logits"])
def test_tflite_files_agree_with_the_onnx_ones(network: nn.Module, tmp_path: Path, output: str) -> None:
    """A half and the whole, in float16 and static int8 with float32 ends, in both interpreters."""
    samples = alike(8)
    export_onnx(read_as("cnn-filled", network), samples[0], tmp_path / "net.onnx")
    graph = read_graph(tmp_path / "net.onnx")
    cut = next(cut for cut in reversed(find_cuts(graph).offered) if len(cut.shape) == 3)
    end = graph.value(cut.tensor, cut.shape) if output == "features" else graph.logits
    exact = graph.part(graph.image, end)
    onnx.save(exact, tmp_path / "exact.onnx")
    answers = [{output: Session(exact)(sample)[end.name]} for sample in samples]
    writer = DeviceFiles(tmp_path / "exact.onnx", ((), ()), samples, answers, network, tmp_path)
    for entry in read_files(["tflite-fp16", "tflite-int8"]):
        path = tmp_path / f"{entry.precision}.tflite"
        file = model_file(entry, path, *writer.write(entry, path))
        assert [tensor.dtype for tensor in (*file.inputs, *file.outputs)] == ["float32", "float32"]
        checks = check_file(path, file, samples, answers)
        kept = None if output == "features" else 1.0
        assert [(check.runtime, check.passed, check.same_label) for check in checks] == [
            ("litert", True, kept),
            ("tflite-runtime", True, kept),
        ]


def test_an_int8_network_answers_in_float(network: nn.Module, tmp_path: Path) -> None:
    """Its logits take more values than int8 has, so no range cuts them off."""
    samples = alike(300)
    export_onnx(read_as("cnn-filled", network), samples[0], tmp_path / "exact.onnx")
    answers = [{"logits": network(torch.from_numpy(samples[0]["image"])).numpy()}]
    writer = DeviceFiles(tmp_path / "exact.onnx", ((), ()), samples, answers, network, tmp_path)
    (entry,) = read_files(["tflite-int8"])
    path = tmp_path / "whole.tflite"
    model = load_model(path, model_file(entry, path, *writer.write(entry, path)), "litert")
    assert len(np.unique([model.run(sample)["logits"] for sample in samples])) > 256


def test_a_network_that_came_as_onnx_has_no_tflite(tmp_path: Path) -> None:
    """The message says why."""
    (entry,) = read_files(["tflite-fp16"])
    writer = DeviceFiles(tmp_path / "exact.onnx", ((), ()), [], [], None, tmp_path)
    with pytest.raises(ArgumentError, match=r"a\.tflite: TFLite is made from PyTorch, and this network came as ONNX"):
        writer.write(entry, tmp_path / "a.tflite")
