"""ONNX files say what PyTorch says, at any batch and token count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from edge_runtime.errors import ModelError
from edge_runtime.models.bundle import FrameSpec
from exporters.networks.catalogue import load_weights
from exporters.networks.readings import read_as
from exporters.networks.vit import VisionTransformer, VitConfig
from exporters.onnx import check_versions, export_onnx, onnx_tensors
from exporters.training.server_vit import MEAN, STD
from exporters.validate_samples import photos_for, samples_of, synthetic_photos

MIDDLE = (127.0,) * 3


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (1, 4), (3, 2)])
def test_batch_and_token_count_vary(
    tmp_path_factory: pytest.TempPathFactory, tiny_vit: VisionTransformer, batch: int, tokens: int
) -> None:
    """One file serves every subset size."""
    path = tmp_path_factory.getbasetemp() / "tokens.onnx"
    reading = read_as("vit-tokens", tiny_vit)
    if not path.exists():
        sample = samples_of("vit-tokens", synthetic_photos(32, 1), MIDDLE, MIDDLE, 16)[0]
        export_onnx(reading, sample, path)
    rng = np.random.default_rng(0)
    feed = {
        "patches": rng.normal(size=(batch, tokens, 768)).astype(np.float32),
        "positions": rng.integers(0, 4, (batch, tokens)),
    }
    (logits,) = ort.InferenceSession(path).run(["logits"], feed)
    np.testing.assert_allclose(logits, reading.answer(feed)["logits"], atol=1e-5)
    assert [tensor.shape for tensor in onnx_tensors(path)[0]] == [(-1, -1, 768), (-1, -1)]


def test_other_opset_is_refused(tmp_path: Path) -> None:
    """An exporter that wrote something else than asked is caught."""
    graph = onnx.helper.make_graph([], "empty", [], [])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "old.onnx")
    with pytest.raises(ModelError, match=r"opset \[18\], IR 10, not opset 20, IR 10"):
        check_versions(tmp_path / "old.onnx")


def test_published_weights_agree_on_real_photos(tmp_path: Path, deit_weights: Path, imagenette_val: Path) -> None:
    """DeiT-Tiny's attention equals PyTorch's to 1e-5, its logits to 1e-5 of the largest.

    PyTorch's own float32 logits are up to 2e-5 away from its float64 ones.
    """
    network = VisionTransformer(VitConfig())
    load_weights(network, deit_weights)
    reading = read_as("vit-attention", network)
    samples = samples_of("vit-attention", photos_for(FrameSpec(224, 16), imagenette_val, 2), MEAN, STD, 16)
    export_onnx(reading, samples[0], tmp_path / "deit.onnx")
    session = ort.InferenceSession(tmp_path / "deit.onnx")
    for sample in samples:
        wanted = reading.answer(sample)
        for name, got in zip(reading.outputs, session.run(list(reading.outputs), sample), strict=True):
            np.testing.assert_allclose(got, wanted[name], rtol=0, atol=1e-5 * max(1, np.abs(wanted[name]).max()))


def test_every_matrix_is_an_output(tmp_path: Path, tiny_vit: VisionTransformer) -> None:
    """With all_layers the file reports [batch, layers, heads, tokens, tokens]."""
    reading = read_as("vit-attention", tiny_vit, all_layers=True)
    image = {"image": np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)}
    export_onnx(reading, image, tmp_path / "layers.onnx")
    (attention,) = ort.InferenceSession(tmp_path / "layers.onnx").run(["attention"], image)
    assert attention.shape == (1, 2, 2, 5, 5)
    np.testing.assert_allclose(attention, reading.answer(image)["attention"], atol=1e-5)


def test_a_file_says_nothing_of_the_machine_that_wrote_it(tmp_path: Path, tiny_vit: VisionTransformer) -> None:
    """The exporter's stack traces, with their paths, are gone."""
    reading = read_as("vit-attention", tiny_vit)
    (image, *_) = samples_of("vit-attention", synthetic_photos(tiny_vit.config.image_size, 1), MEAN, STD, 16)
    export_onnx(reading, image, tmp_path / "plain.onnx")
    assert str(Path(__file__).parents[2]).encode() not in (tmp_path / "plain.onnx").read_bytes()
