"""`edge-export calibrate`: measure on photos what a bundle decides by: its cuts' codec, its rounds' plans."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.codecs.feature_tables import Tables
from edge_runtime.control.rounds import Setting
from edge_runtime.errors import BundleError
from edge_runtime.models import Bundle
from edge_runtime.models.bundle import files_of, manifest_hash
from exporters.bundle_files import stored_file
from exporters.bundle_folder import write_bundle
from exporters.calibration.rounds_axes import Axes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.codecs.feature_tables import FeatureTables
    from edge_runtime.models.bundle import Manifest, RoundsSpec, SplitSpec, StoredFile

ROUND_TABLES = "rounds.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `edge-export calibrate`."""
    parser.add_argument("source", type=Path, help="bundle with cuts, both halves of it, or with rounds")
    parser.add_argument("--photos", type=Path, required=True, help="folder or tar file of photos, <class>/<photo>")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new bundle; the source itself is fine")
    parser.add_argument("--report", type=Path, help="file to write the result to, as JSON")
    cuts = parser.add_argument_group("cuts")
    cuts.add_argument("--count", type=int, default=256, help="photos to take, evenly (default: %(default)s)")
    _add_rounds(parser.add_argument_group("rounds"))


def _add_rounds(rounds: argparse._ArgumentGroup) -> None:
    axes = Axes()
    rounds.add_argument(
        "--every", type=int, default=12, help="take each n-th photo, as training holds out (default: %(default)s)"
    )
    rounds.add_argument("--limit", type=int, help="of those, an even sample of so many (default: all)")
    rounds.add_argument("--settings", nargs="+", type=_setting, default=axes.settings, metavar="CODEC:QUALITY")
    rounds.add_argument("--first", nargs="+", type=int, default=axes.first, metavar="K", help="patches sent unasked")
    rounds.add_argument("--second", nargs="+", type=int, default=axes.second, metavar="K", help="patches asked for")
    rounds.add_argument(
        "--below", nargs="+", type=float, default=axes.below, metavar="P", help="confidences under which it is asked"
    )
    rounds.add_argument("--processes", type=int, default=2, help="each with one thread (default: %(default)s)")


def _setting(text: str) -> Setting:
    codec, _, quality = text.partition(":")
    try:
        return msgspec.convert({"codec": codec, "quality": int(quality)}, Setting)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no codec and quality, write it like webp:35") from None


def run(options: argparse.Namespace) -> dict[str, object]:
    """Write the bundle with new tables, which have a new hash, and report what was measured."""
    bundle = Bundle.load(options.source)
    manifest = bundle.manifest
    if not manifest.splits and not manifest.rounds:
        raise BundleError(
            f"{options.source}: has no cuts to calibrate, and no rounds; `edge-export split` writes bundles with cuts"
        )
    report: dict[str, object] = {}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, file in files_of(manifest).items():
            bundle.read(file)
            shutil.copyfile(bundle.folder / name, folder / name)
        if manifest.splits:
            manifest, report = _calibrate_splits(bundle, manifest, options, folder)
        if manifest.rounds:
            manifest, measured = _calibrate_rounds(bundle, manifest, manifest.rounds, options, folder)
            report |= measured
        manifest = msgspec.structs.replace(manifest, hash=manifest_hash(manifest))
        write_bundle(manifest, folder, options.out, "both")
    report = {"bundle": str(options.out), "hash": manifest.hash, **report}
    if options.report:
        options.report.write_text(json.dumps(report, indent=1) + "\n")
    return report


def _calibrate_rounds(
    bundle: Bundle, manifest: Manifest, rounds: RoundsSpec, options: argparse.Namespace, folder: Path
) -> tuple[Manifest, dict[str, object]]:
    from edge_runtime.labelled_photos import labelled_photos
    from exporters.calibration.rounds import calibrate_rounds

    photos = labelled_photos(options.photos, manifest, every=options.every, limit=options.limit)
    axes = Axes(*(tuple(getattr(options, name)) for name in Axes._fields))
    tables, report = calibrate_rounds(bundle, photos, axes, options.processes)
    path = folder / (rounds.tables.path if rounds.tables else ROUND_TABLES)
    path.write_bytes(tables.dump())
    rounds = msgspec.structs.replace(rounds, tables=stored_file(path))
    return msgspec.structs.replace(manifest, rounds=rounds), report


def _calibrate_splits(
    bundle: Bundle, manifest: Manifest, options: argparse.Namespace, folder: Path
) -> tuple[Manifest, dict[str, object]]:
    from exporters.validate_samples import photos_for

    photos = photos_for(bundle.frame, options.photos, options.count)
    splits = tuple(
        msgspec.structs.replace(spec, tables=_calibrated(bundle, spec, photos, folder)) for spec in manifest.splits
    )
    fitted = {spec.cut: Tables((folder / spec.tables.path).read_bytes()).stored for spec in splits}
    return msgspec.structs.replace(manifest, splits=splits), {
        "drift_factor": {cut: tables.drift_factor for cut, tables in fitted.items()},
        "rates": [rate for cut, tables in fitted.items() for rate in _rates(cut, tables)],
    }


def _calibrated(bundle: Bundle, spec: SplitSpec, photos: NDArray[np.uint8], folder: Path) -> StoredFile:
    """Write the cut's tables anew."""
    from exporters.calibration.calibrate import calibrate

    prefix, suffix = bundle.model("edge", spec.prefix), bundle.model("server", spec.suffix)
    halves = [
        next((folder / file.path for file in model.files if file.format == "onnx" and file.precision != "int8"), None)
        for model in (prefix, suffix)
    ]
    if halves[0] is None or halves[1] is None:
        raise BundleError(f"{bundle.folder}: {spec.cut} has no float ONNX files of both halves to calibrate with")
    path = folder / spec.tables.path
    rectified = Tables(path.read_bytes()).plan.rectified
    path.write_bytes(calibrate(halves[0], halves[1], photos, prefix.mean, prefix.std, rectified=rectified))
    return stored_file(path)


def _rates(cut: str, tables: FeatureTables) -> list[dict[str, object]]:
    """What each quality costs and keeps on the calibration photos."""
    return [
        {
            "cut": cut,
            "quality": rate.quality,
            "bytes": round(rate.bytes),
            "agreement": rate.agreement,
            "drift": rate.drift,
        }
        for rate in tables.rates
    ]
