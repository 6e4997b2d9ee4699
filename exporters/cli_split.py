"""`edge-export split`: where a convolutional network can be cut, and bundles of its halves."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_runtime.errors import ArgumentError
from edge_runtime.models.bundle import FrameSpec, files_of
from exporters.bundle_spec import PLAIN_NAME, NetworkEntry
from exporters.cli_export import add_network_arguments

if TYPE_CHECKING:
    import argparse

    from exporters.split.bundle import Labels
    from exporters.split.source import Network

ONNX = ("onnx-fp16", "onnx-int8")
TFLITE = ("tflite-fp16", "tflite-int8")
DEFAULT_CLASSES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `edge-export split`."""
    add = parser.add_argument
    add("network", help="an .onnx file, efficientnet-lite0|1|2, resnet, or one's own MODULE:FACTORY")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="list the cuts, each recomposed and compared with the whole")
    what.add_argument("--at", action="append", metavar="CUT", help="cut here; repeatable, the first is the default")
    add("--out", type=Path, help="--at: folder of the new bundle; an older one is replaced")
    add("--photos", type=Path, help="--at: folder or tar file of photos, <class>/<photo>, to measure ranges on")
    add("--count", type=int, default=256, help="--at: photos to take from there, evenly (default: %(default)s)")
    add(
        "--files",
        nargs="+",
        help=f"--at: files of the device's halves, best first (default: {' '.join(ONNX + TFLITE)})",
    )
    add("--whole-files", nargs="+", help="--at: files of the device's whole network (default: those of its halves)")
    add("--name", help="--at: what the network and the bundle are called (default: after the network)")
    add("--classes", nargs="+", default=(), help="names of the classes, in the order of the logits (default: folders)")
    add("--class-folders", nargs="+", default=(), help="folder names of labelled data sets, in the same order")
    add("--all", action="store_true", help="list also cuts that are later than another and not smaller")
    add("--image-size", type=int, help="side of the image in pixels (default: the network's own)")
    add_network_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, object]:
    """List the cuts, or write the bundle and report its files."""
    if options.at and not (options.out and options.photos):
        raise ArgumentError("--at: needs --out, the folder to write, and --photos, which values are measured on")
    with TemporaryDirectory() as scratch:
        network = _open(options, Path(scratch))
        return _write(options, network) if options.at else _list(network, all_cuts=options.all)


def _open(options: argparse.Namespace, scratch: Path) -> Network:
    from exporters.split.source import open_network

    fields = {
        key: value for key in NetworkEntry.__struct_fields__ if (value := getattr(options, key, None)) is not None
    }
    try:
        entry = msgspec.convert(fields, NetworkEntry)
    except msgspec.ValidationError as error:
        raise ArgumentError(f"options: {error}") from error
    classes = len(options.classes or options.class_folders) or DEFAULT_CLASSES
    return open_network(entry, options.image_size, options.patch, classes, scratch)


def _write(options: argparse.Namespace, network: Network) -> dict[str, object]:
    from exporters.calibration.calibrate import calibrate
    from exporters.cli_bundle import report
    from exporters.cli_validate import rows
    from exporters.split.bundle import DeviceEntries, write_split
    from exporters.split.cuts import find_cuts
    from exporters.split.halves import read_files
    from exporters.validate_samples import photos_for

    names = options.files or (ONNX + TFLITE if network.module else ONNX)
    entries = DeviceEntries(read_files(names), read_files(options.whole_files or names))
    found = find_cuts(network.graph)
    cuts = [found.named(name) for name in dict.fromkeys(options.at)]
    labels = _labels(options, network.graph.size)
    photos = photos_for(labels.frame, options.photos, options.count)
    manifest, checks = write_split(network, cuts, entries, labels, photos, calibrate, options.out)
    kept = files_of(manifest)
    left_out = sorted({check.file for check in checks if check.file not in kept})
    return {"checks": rows(checks), **report(manifest, options.out), "left_out": left_out}


def _labels(options: argparse.Namespace, size: int) -> Labels:
    from exporters.split.bundle import Labels

    name = options.name or Path(options.network.rpartition(":")[2]).stem
    if not re.fullmatch(PLAIN_NAME, name):
        raise ArgumentError(f"--name {name}: letters, digits, dots, dashes and underscores only, for files' names")
    if size % options.patch:
        raise ArgumentError(f"--patch {options.patch}: does not divide the image's side of {size}; give one that does")
    mean, std = tuple(options.mean), tuple(options.std)
    frame = FrameSpec(size=size, patch=options.patch, resize=size)
    return Labels(name, frame, mean, std, tuple(options.classes), tuple(options.class_folders))


def _list(network: Network, *, all_cuts: bool) -> dict[str, object]:
    from exporters.split.cuts import find_cuts, worth_a_choice
    from exporters.split.session import recomposed
    from exporters.validate_samples import samples_of, synthetic_photos

    graph = network.graph
    cuts = find_cuts(graph)
    shown = cuts.offered if all_cuts else worth_a_choice(graph, cuts.offered)
    samples = samples_of("cnn-filled", synthetic_photos(graph.size, graph.batch or 2), (127.0,) * 3, (128.0,) * 3, 1)
    images = np.concatenate([sample["image"] for sample in samples])
    differences = [recomposed(graph, cut, images) for cut in shown]
    rows = [
        {
            "cut": cut.name,
            "tensor": cut.tensor,
            "shape": list(cut.shape),
            "bytes": cut.bytes,
            "device_macs": cut.prefix_macs,
            "server_macs": cut.suffix_macs,
            "non_negative": "yes" if cut.non_negative else "no",
            "difference": difference,
        }
        for cut, difference in zip(shown, differences, strict=True)
    ]
    return {
        "network": f"image {graph.size} × {graph.size}, batch {graph.batch or 'any'}",
        "listed": len(shown),
        "later_and_no_smaller": len(cuts.offered) - len(shown),
        "left_out": cuts.left_out,
        "worst_difference": max(differences, default=0.0),
        "cuts": rows,
    }
