"""From spec to bundle: what is written is what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import pytest

from edge_runtime.errors import BundleError, ModelError
from edge_runtime.models import Bundle, Execution, open_model
from exporters.bundle import build_bundle
from exporters.validate_bundle import validate_bundle
from exporters.validate_samples import samples_of, synthetic_photos

if TYPE_CHECKING:
    from pathlib import Path

    from exporters.networks.vit import VisionTransformer


def test_every_model_opens_and_answers(tiny_bundle: Bundle) -> None:
    """Both sides' models run in every runtime that their files claim."""
    for model in tiny_bundle.manifest.models:
        (sample,) = samples_of(model.kind, synthetic_photos(32, 1), model.mean, model.std, 16)
        for file in model.files:
            for runtime in file.runtimes:
                answer = open_model(tiny_bundle, model, Execution(runtime, file.precision)).run(sample)
                assert answer["logits"].shape == (1, 3)


def test_silently_wrong_runtime_is_not_claimed(tiny_bundle: Bundle) -> None:
    """Int8 products load and run in tflite-runtime, but their answers are wrong there."""
    claims = {file.path: file.runtimes for file in tiny_bundle.model("edge").files}
    assert claims["eye-int8.tflite"] == ("litert",)
    assert claims["eye-fp32.tflite"] == ("litert", "tflite-runtime")


def test_costs_are_recorded(tiny_bundle: Bundle, tiny_vit: VisionTransformer) -> None:
    """Parameters are exact; the whole image costs more than the patch embedding alone."""
    model = tiny_bundle.model("server")
    assert model.parameters == sum(parameter.numel() for parameter in tiny_vit.parameters())
    assert model.macs > 4 * 768 * 16


def test_half_precision_halves_matrices_only(tiny_bundle: Bundle) -> None:
    """Matrices are stored as float16, vectors and the interface stay float32."""
    graph = onnx.load(tiny_bundle.folder / "eye-fp16.onnx").graph
    for weight in graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT:
            assert len(weight.dims) < 2
    assert {tensor.dtype for tensor in tiny_bundle.model("edge").files[0].inputs} == {"float32"}


def test_two_rounds_are_exported_and_agree(tmp_path: Path, rounds_spec: Path) -> None:
    """Recovery, first look and second look run with PyTorch's results, also as a bundle that is checked later."""
    manifest, checks = build_bundle(rounds_spec, tmp_path, count=3)
    assert {check.file for check in checks if check.passed} == {
        "look-fp16.onnx",
        "look-again-fp16.onnx",
        "recover-fp16.onnx",
    }
    assert manifest.rounds is not None
    assert Bundle.load(tmp_path).manifest.rounds == manifest.rounds
    later, missing = validate_bundle(tmp_path, None, None, count=2)
    assert all(check.passed for check in later)
    assert missing == []


def test_foreign_folder_is_left_alone(tmp_path: Path, spec_path: Path) -> None:
    """A folder with other things in it is refused before anything is exported."""
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match=r"holds thesis\.tex and is not a bundle"):
        build_bundle(spec_path, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_classes_must_match_the_network(tmp_path: Path, spec_path: Path) -> None:
    """Weights for three classes do not load into a network for four."""
    spec = spec_path.with_name("four.toml")
    spec.write_text(spec_path.read_text().replace('"bird"', '"bird", "fish"'))
    with pytest.raises(ModelError, match=r"mis-shaped: head\.weight \[3, 16\] instead of \[4, 16\]"):
        build_bundle(spec, tmp_path)
