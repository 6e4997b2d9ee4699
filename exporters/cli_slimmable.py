"""`edge-export slimmable`: trained slimmable encoders and their decoders to a bundle, every mode measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.errors import ArgumentError, PhotoError
from exporters.bundle_spec import PLAIN_NAME

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from edge_runtime.control.modes import ModeTable
    from edge_runtime.labelled_photos import Photo
    from exporters.slimmable.family import Family

FILES = ("onnx-fp16", "onnx-int8", "tflite-fp16", "tflite-int8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `edge-export slimmable`."""
    add = parser.add_argument
    add("--ensemble", type=Path, metavar="RUN", help="folder that `edge-export train ensemble` wrote")
    add("--widths", type=Path, metavar="RUN", help="folder that `edge-export train widths` wrote")
    add("--photos", type=Path, required=True, help="folder or tar file of photos, <class>/<photo>, of the training")
    add("--out", type=Path, required=True, help="folder of the new bundle; an older one is replaced")
    add("--name", default="slimmable", help="what the bundle is called (default: %(default)s)")
    add("--files", nargs="+", default=FILES, help=f"files of each encoder, best first (default: {' '.join(FILES)})")
    add("--count", type=int, default=512, help="photos to count symbols on, evenly taken (default: %(default)s)")
    add("--limit", type=int, help="photos to measure modes on, evenly taken (default: all that training held out)")


def run(options: argparse.Namespace) -> dict[str, object]:
    """Write the bundle and report its files and what every mode brings."""
    if not (options.ensemble or options.widths):
        raise ArgumentError("options: no encoders to export; give --ensemble, --widths or both")
    if not re.fullmatch(PLAIN_NAME, options.name):
        raise ArgumentError(f"--name {options.name}: letters, digits, dots, dashes and underscores only")
    if options.count < 1:
        raise ArgumentError(f"--count {options.count}: is less than 1")
    from exporters.cli_bundle import report
    from exporters.cli_validate import rows
    from exporters.slimmable.bundle import write_slimmable
    from exporters.split.halves import read_files

    entries = read_files(options.files)
    if all(entry.format != "onnx" for entry in entries):
        raise ArgumentError(f"--files {' '.join(options.files)}: modes are measured with an ONNX file; add onnx-fp16")
    families = _families(options)
    training, held_out = _photos(options)
    written = write_slimmable(options.name, families, entries, training, held_out, options.out)
    kept = {file.path for model in written.manifest.models for file in model.files}
    left_out = sorted({check.file for check in written.checks} - kept)
    result = {"checks": rows(written.checks), **report(written.manifest, options.out), "left_out": left_out}
    return {**result, "teacher_accuracy": _teacher(written.modes), "modes": _modes(written.modes)}


def _families(options: argparse.Namespace) -> list[Family]:
    from exporters.slimmable.family import ensemble, widths

    return [load(run) for load, run in ((ensemble, options.ensemble), (widths, options.widths)) if run]


def _photos(options: argparse.Namespace) -> tuple[list[Photo], list[Photo]]:
    """Some that the encoders were trained on, and those that they were not."""
    from edge_runtime.labelled_photos import labelled_photos
    from exporters.slimmable.bundle import EMPTY
    from exporters.training.photos import TUNING_EVERY

    held_out = labelled_photos(options.photos, EMPTY, every=TUNING_EVERY, limit=options.limit)
    trained = [photo for place, photo in enumerate(labelled_photos(options.photos, EMPTY)) if place % TUNING_EVERY != 0]
    if not trained:
        raise PhotoError(f"{options.photos}: {len(held_out)} photos are too few; give those of the training")
    chosen = np.linspace(0, len(trained) - 1, min(options.count, len(trained))).astype(int)
    return [trained[place] for place in chosen], held_out


def _teacher(tables: Mapping[str, ModeTable]) -> float:
    """Of the whole network, on the same photos whatever the family."""
    return next(iter(tables.values())).teacher_accuracy


def _modes(tables: Mapping[str, ModeTable]) -> list[dict[str, object]]:
    return [
        {
            "family": name,
            "encoders": one.encoders,
            "levels": one.levels,
            "bits": one.bits,
            "accuracy": one.accuracy,
            "bytes": one.bytes.mean,
            "most_bytes": one.bytes.most,
        }
        for name, table in tables.items()
        for one in table.modes
    ]
