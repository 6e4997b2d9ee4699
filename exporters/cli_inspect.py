"""`edge-export inspect`: what a model file or a bundle holds. Needs no PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `edge-export inspect`."""
    parser.add_argument("source", type=Path, help="bundle folder, .onnx or .tflite file")


def run(options: argparse.Namespace) -> dict[str, object]:
    """Report on the file or bundle."""
    source: Path = options.source
    if source.is_dir():
        from exporters.inspect_bundle import describe_bundle

        return describe_bundle(source)
    if not source.is_file():
        raise ArgumentError(f"{source}: no such file or folder")
    if source.suffix == ".onnx":
        from exporters.inspect_onnx import describe_onnx

        return describe_onnx(source)
    if source.suffix == ".tflite":
        from exporters.inspect_tflite import describe_tflite

        return describe_tflite(source)
    raise ArgumentError(f"{source}: not a bundle folder, .onnx or .tflite file")
