"""An encoder's files answer as PyTorch does, int8 within its bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import torch

from edge_runtime.models import installed_runtimes
from exporters.bundle_spec import FileEntry
from exporters.networks.channel_slimmable import SlimEncoder
from exporters.networks.ensemble import CHANNELS, EnsembleEncoder
from exporters.networks.latent import SlimmableNetwork
from exporters.networks.latent_parts import at_width, member
from exporters.slimmable.family import Family
from exporters.slimmable.models import Models
from exporters.validate_samples import synthetic_photos

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

ENTRIES = [FileEntry(*words) for words in (("onnx", "fp16"), ("onnx", "int8"), ("tflite", "fp16"), ("tflite", "int8"))]


def test_all_files_of_an_encoder_agree_with_it(tmp_path: Path) -> None:
    """In every runtime that takes them; int8 is off by some percent, as it must be, and stays within the bound."""
    torch.manual_seed(0)
    encoder = EnsembleEncoder().eval().requires_grad_(False)
    models = _models(tmp_path)
    (spec,) = models.encoders(_family(member(encoder, 1)), ENTRIES)
    assert [file.path for file in spec.files] == [f"one.1-{entry.precision}.{entry.format}" for entry in ENTRIES]
    off = {(check.file, check.runtime): check.difference["latent"] for check in models.checks if check.passed}
    takers = {"onnx": {"onnxruntime"}, "tflite": {"litert", "tflite-runtime"}}
    assert {check.runtime for check in models.checks} == set(installed_runtimes())
    for file in spec.files:
        assert set(file.runtimes) == takers[file.format] & set(installed_runtimes())
        for runtime in file.runtimes:
            low, high = (0.005, 0.25) if file.precision == "int8" else (0, 0.005)
            assert low <= off[file.path, runtime] < high


def test_norms_stay_in_floating_point(tmp_path: Path) -> None:
    """In int8 the narrowest width's convolutions read int8 weights, and its instance norms are what they were."""
    torch.manual_seed(0)
    encoder = SlimEncoder().eval().requires_grad_(False)
    (spec,) = _models(tmp_path).encoders(_family(at_width(encoder, 1)), [ENTRIES[1]])
    graph = onnx.load(tmp_path / "files" / spec.files[0].path).graph
    made_by = {output: node for node in graph.node for output in node.output}
    norms = [node for node in graph.node if node.op_type == "InstanceNormalization"]
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(norms) == 3
    assert all(made_by[node.input[1]].op_type == "DequantizeLinear" for node in convolutions)


def _models(folder: Path) -> Models:
    for name in ("files", "scratch"):
        (folder / name).mkdir()
    return Models(synthetic_photos(224, 8), folder / "files", folder / "scratch")


def _family(encoder: nn.Module) -> Family:
    network = SlimmableNetwork(encoder, CHANNELS)
    levels = network.quantiser.levels
    steps = torch.stack([network.quantiser.steps(count) for count in levels]).detach().numpy()
    return Family("one", True, (encoder,), network.decoder, levels, steps)
