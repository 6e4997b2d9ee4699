"""What TFLite cannot hold is refused, and what it holds is named as the interpreter names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ai_edge_litert.interpreter import Interpreter

from edge_runtime.errors import ArgumentError, ModelError
from exporters.networks.readings import read_as
from exporters.tflite import export_tflite, tflite_tensors
from exporters.validate_samples import samples_of, synthetic_photos

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.models import Bundle
    from exporters.networks.vit import VisionTransformer


def test_names_are_the_interpreters_own(tiny_bundle: Bundle) -> None:
    """Each recorded tensor exists under its name, with its shape."""
    file = next(file for file in tiny_bundle.model("edge").files if file.format == "tflite")
    interpreter = Interpreter(model_path=str(tiny_bundle.folder / file.path))
    for tensors, details in (
        (file.inputs, interpreter.get_input_details()),
        (file.outputs, interpreter.get_output_details()),
    ):
        assert {(tensor.tensor, tensor.shape) for tensor in tensors} == {
            (detail["name"], tuple(detail["shape"])) for detail in details
        }


def test_output_of_another_shape_is_named(tiny_bundle: Bundle) -> None:
    """A file that lacks an expected output says which shape was looked for."""
    (sample,) = samples_of("vit-attention", synthetic_photos(16, 1), (0.0,) * 3, (1.0,) * 3, 16)
    with pytest.raises(ModelError, match=r"no tensor has image's shape \[1, 3, 16, 16\]"):
        tflite_tensors(tiny_bundle.folder / "eye-fp32.tflite", sample, {})


def test_varying_token_count_is_refused(tmp_path: Path, tiny_vit: VisionTransformer) -> None:
    """The message says which format to use instead."""
    (sample,) = samples_of("vit-tokens", synthetic_photos(32, 1), (0.0,) * 3, (1.0,) * 3, 16)
    with pytest.raises(ArgumentError, match="TFLite has fixed shapes; export it to ONNX"):
        export_tflite(read_as("vit-tokens", tiny_vit), sample, tmp_path / "brain.tflite")
