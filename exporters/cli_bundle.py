"""`edge-export bundle`: export a spec, or split an existing bundle without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.models.bundle import files_of
from exporters.bundle_folder import SIDES, split_bundle

if TYPE_CHECKING:
    import argparse

    from edge_runtime.models.bundle import Manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `edge-export bundle`."""
    parser.add_argument("source", type=Path, help="spec (.toml) to export, or folder of a bundle to copy from")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new bundle; an older one is replaced")
    parser.add_argument("--for", dest="half", choices=SIDES, default="both", help="whose files to write")
    parser.add_argument("--photos", type=Path, help="folder or tar file of photos to validate on (default: synthetic)")
    parser.add_argument("--count", type=int, default=8, help="photos to validate on")


def run(options: argparse.Namespace) -> dict[str, object]:
    """Write the bundle and report its files."""
    if options.source.is_dir():
        return report(split_bundle(options.source, options.out, options.half), options.out)
    from exporters.bundle import build_bundle
    from exporters.cli_validate import rows

    manifest, checks = build_bundle(options.source, options.out, options.half, options.photos, options.count)
    kept = {file.path for model in manifest.models for file in model.files}
    left_out = sorted({check.file for check in checks} - kept)
    return {"checks": rows(checks), **report(manifest, options.out), "left_out": left_out}


def report(manifest: Manifest, out: Path) -> dict[str, object]:
    """What was written."""
    files = files_of(manifest, SIDES[manifest.half])
    return {
        "bundle": str(out),
        "half": manifest.half,
        "hash": manifest.hash,
        "files": len(files),
        "bytes": sum(file.bytes for file in files.values()),
    }
