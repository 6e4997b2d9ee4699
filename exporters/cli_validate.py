"""`edge-export validate`: the gate that every exported file passes, on demand."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from exporters.validate import Check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `edge-export validate`."""
    parser.add_argument("source", type=Path, help="bundle folder, or spec (.toml) to export and throw away again")
    parser.add_argument(
        "--spec", type=Path, help="spec the bundle was made from: compare with PyTorch, not with its most precise file"
    )
    parser.add_argument("--photos", type=Path, help="folder or tar file of photos (default: synthetic)")
    parser.add_argument("--count", type=int, default=8, help="number of photos (default: %(default)s)")


def run(options: argparse.Namespace) -> dict[str, object]:
    """Check every file; ``failed`` lists those that may not be claimed."""
    if options.source.is_dir():
        from exporters.validate_bundle import validate_bundle

        checks, skipped = validate_bundle(options.source, options.spec, options.photos, options.count)
        failed = [f"{check.file} in {check.runtime}" for check in checks if not check.passed]
        return {"checks": rows(checks), "not_installed": skipped, "failed": failed}
    from exporters.bundle import export_models
    from exporters.bundle_spec import read_spec

    spec = read_spec(options.source)
    with TemporaryDirectory() as folder:
        models, checks = export_models(spec, options.source.parent, Path(folder), options.photos, options.count)
    kept = {file.path for model in models for file in model.files}
    return {"checks": rows(checks), "failed": sorted({check.file for check in checks} - kept)}


def rows(checks: Sequence[Check]) -> list[dict[str, object]]:
    """Checks as table rows."""
    return [
        {
            "file": check.file,
            "runtime": check.runtime,
            "difference": check.difference,
            "limit": check.limit,
            "same_label": "-" if check.same_label is None else check.same_label,
            "result": "ok" if check.passed else check.error or "differs",
        }
        for check in checks
    ]
