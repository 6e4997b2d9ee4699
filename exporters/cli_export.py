"""`edge-export onnx` and `edge-export tflite`: one network into one file, checked where it can run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args

import msgspec

from edge_runtime.errors import ArgumentError
from edge_runtime.models.bundle import FrameSpec, Precision
from exporters.bundle_spec import FileEntry, ModelEntry, WholeKind
from exporters.cli_validate import rows

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `edge-export onnx` and `edge-export tflite`."""
    add = parser.add_argument
    add("--network", required=True, help="hybrid, vit, resnet, efficientnet-lite0|1|2, or one's own MODULE:FACTORY")
    add("--kind", choices=get_args(WholeKind), required=True, help="inputs and outputs, see docs/formats/bundle.md")
    add("--out", type=Path, required=True, help="file to write")
    add("--precision", choices=get_args(Precision), default="fp32")
    add("--classes", type=int, default=10, help="length of the logits (default: %(default)s)")
    add("--image-size", type=int, default=224, help="side of the image in pixels (default: %(default)s)")
    add("--all-layers", action="store_true", help="vit-attention: report every attention matrix")
    add_network_arguments(parser)
    add("--photos", type=Path, help="folder or tar file of photos to check on (default: synthetic)")
    add("--count", type=int, default=8, help="photos to check on (default: %(default)s)")


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what shapes a network of the catalogue and what it wants to be fed."""
    add = parser.add_argument
    add("--weights", help="state dict, .safetensors or .pt")
    add("--patch", type=int, default=16, help="side of a patch in pixels (default: %(default)s)")
    add("--width", type=int, help="hybrid, vit: length of a token")
    add("--depth", type=int, help="hybrid, vit: number of blocks")
    add("--heads", type=int, help="hybrid, vit: attention heads per block")
    add("--imagenet-classes", type=int, nargs="+", help="efficientnet-lite: keep only these rows of the classifier")
    add("--mean", type=float, nargs=3, default=(127.0,) * 3, help="of the photos, 0..255 units (default: 127)")
    add("--std", type=float, nargs=3, default=(128.0,) * 3, help="likewise (default: 128)")


def run(options: argparse.Namespace) -> dict[str, object]:
    """Write the file and report what it is and how far it is from PyTorch."""
    from exporters.bundle_files import Exporter
    from exporters.bundle_models import prepare_model
    from exporters.validate import check_file
    from exporters.validate_samples import photos_for

    entry = _entry(options)
    frame = FrameSpec(options.image_size, options.patch)
    photos = photos_for(frame, options.photos, options.count)
    prepared = prepare_model(entry, frame, options.classes, Path(), photos)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        file = Exporter(prepared.reading, prepared.samples[0], Path(scratch)).write(entry.files[0], options.out)
    checks = check_file(options.out.read_bytes(), file, prepared.samples, prepared.wanted)
    return {
        "file": str(options.out),
        "bytes": file.bytes,
        "parameters": prepared.parameters,
        "macs": prepared.macs,
        "inputs": [msgspec.to_builtins(tensor) for tensor in file.inputs],
        "outputs": [msgspec.to_builtins(tensor) for tensor in file.outputs],
        "checks": rows(checks),
        "failed": [] if any(check.passed for check in checks) else [str(options.out)],
    }


def _entry(options: argparse.Namespace) -> ModelEntry:
    """The options as the entry that a spec would hold, checked as there."""
    fields = {key: value for key in ModelEntry.__struct_fields__ if (value := getattr(options, key, None)) is not None}
    fields |= {
        "name": "model",
        "role": "edge" if options.kind == "vit-attention" else "server",
        "files": (FileEntry(options.command, options.precision),),
    }
    try:
        return msgspec.convert(fields, ModelEntry)
    except msgspec.ValidationError as error:
        raise ArgumentError(f"options: {error}") from error
