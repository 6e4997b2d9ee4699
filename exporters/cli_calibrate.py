"""`edge-export calibrate`: fit the feature codec of a cut network's bundle anew, for instance to one's own photos."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.codecs.feature_tables import Tables
from edge_runtime.errors import BundleError
from edge_runtime.models import Bundle
from edge_runtime.models.bundle import files_of, manifest_hash
from exporters.bundle_files import stored_file
from exporters.bundle_folder import write_bundle
from exporters.calibration.calibrate import calibrate
from exporters.validate_samples import photos_for

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.codecs.feature_tables import FeatureTables
    from edge_runtime.models.bundle import SplitSpec, StoredFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `edge-export calibrate`."""
    parser.add_argument("source", type=Path, help="bundle of a cut network, both halves of it")
    parser.add_argument("--photos", type=Path, required=True, help="folder or tar file of photos, <class>/<photo>")
    parser.add_argument(
        "--count", type=int, default=256, help="photos to take from there, evenly (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the new bundle; the source itself is fine")


def run(options: argparse.Namespace) -> dict[str, object]:
    """Write the bundle with new tables, which have a new hash, and report what each cut costs and keeps."""
    bundle = Bundle.load(options.source)
    if not bundle.manifest.splits:
        raise BundleError(f"{options.source}: has no cuts to calibrate; `edge-export split` writes bundles that do")
    photos = photos_for(bundle.frame, options.photos, options.count)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, file in files_of(bundle.manifest).items():
            bundle.read(file)
            shutil.copyfile(bundle.folder / name, folder / name)
        splits = tuple(
            msgspec.structs.replace(spec, tables=_calibrated(bundle, spec, photos, folder))
            for spec in bundle.manifest.splits
        )
        manifest = msgspec.structs.replace(bundle.manifest, splits=splits)
        manifest = msgspec.structs.replace(manifest, hash=manifest_hash(manifest))
        write_bundle(manifest, folder, options.out, "both")
        fitted = {spec.cut: Tables((folder / spec.tables.path).read_bytes()).stored for spec in splits}
    return {
        "bundle": str(options.out),
        "hash": manifest.hash,
        "drift_factor": {cut: tables.drift_factor for cut, tables in fitted.items()},
        "rates": [rate for cut, tables in fitted.items() for rate in _rates(cut, tables)],
    }


def _calibrated(bundle: Bundle, spec: SplitSpec, photos: NDArray[np.uint8], folder: Path) -> StoredFile:
    """Write the cut's tables anew."""
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
