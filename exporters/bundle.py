"""From a spec to a bundle: export every network, run every file, claim only what agreed with PyTorch."""

from __future__ import annotations

import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import torch
from tqdm import tqdm

from edge_runtime.errors import ModelError
from edge_runtime.models.bundle import FORMAT, Manifest, ModelFile, ModelSpec, manifest_hash
from exporters.bundle_files import Exporter
from exporters.bundle_folder import Half, check_replaceable, write_bundle
from exporters.bundle_models import Prepared, prepare_model
from exporters.bundle_shared import share_weights
from exporters.bundle_spec import BundleSpec, ModelEntry, read_spec
from exporters.validate import Check, check_file
from exporters.validate_samples import photos_for


def build_bundle(
    spec_path: Path, out: Path, half: Half = "both", photos: Path | None = None, count: int = 8
) -> tuple[Manifest, list[Check]]:
    """Export ``spec_path`` into the folder ``out``; returns its manifest and every check that was made.

    Files are validated on ``count`` photos of ``photos`` (synthetic ones without it). A runtime in which a file fails
    is not claimed; a file that fails in all of them is left out; ``ModelError`` when a model has no file left.
    """
    spec = read_spec(spec_path)
    check_replaceable(out, keep=spec_path)
    with tempfile.TemporaryDirectory() as folder:
        models, checks = export_models(spec, spec_path.parent, Path(folder), photos, count)
        return write_bundle(_manifest(spec, models), Path(folder), out, half, keep=spec_path), checks


def export_models(
    spec: BundleSpec, base: Path, folder: Path, photos: Path | None, count: int
) -> tuple[list[ModelSpec], list[Check]]:
    """Write the files of every model into ``folder`` and check them; paths of weights start at ``base``."""
    pixels = photos_for(spec.frame, photos, count)
    prepared: list[Prepared] = []
    written: list[list[ModelFile]] = []
    with tqdm(total=sum(len(entry.files) for entry in spec.models), desc="exporting", unit="file") as bar:
        for entry in spec.models:
            prepared.append(prepare_model(entry, spec.frame, len(spec.classes), base, pixels))
            exporter = Exporter(prepared[-1].reading, prepared[-1].samples[0], folder)
            written.append([])
            for wanted in entry.files:
                path = folder / f"{entry.name}-{wanted.precision}.{wanted.format}"
                bar.set_postfix_str(path.name)
                written[-1].append(exporter.write(wanted, path))
                bar.update()
    written = share_weights(spec.models, written, folder)
    models: list[ModelSpec] = []
    checks: list[Check] = []
    for entry, network, files in zip(spec.models, prepared, written, strict=True):
        kept = []
        for file in tqdm(files, desc=f"checking {entry.name}", unit="file"):
            made = check_file(_source(folder, file), file, network.samples, network.wanted)
            if runtimes := tuple(check.runtime for check in made if check.passed):
                kept.append(msgspec.structs.replace(file, runtimes=runtimes))
            checks += made
        models.append(_model(entry, kept, network))
    return models, checks


def _source(folder: Path, file: ModelFile) -> bytes | Path:
    path = folder / file.path
    return path if file.weights else path.read_bytes()


def _model(entry: ModelEntry, files: list[ModelFile], prepared: Prepared) -> ModelSpec:
    if not files:
        raise ModelError(f"{entry.name}: none of its files agrees with PyTorch in an installed runtime; add fp32")
    return ModelSpec(
        name=entry.name,
        role=entry.role,
        kind=entry.kind,
        mean=entry.mean,
        std=entry.std,
        parameters=prepared.parameters,
        macs=prepared.macs,
        files=tuple(files),
    )


def _manifest(spec: BundleSpec, models: list[ModelSpec]) -> Manifest:
    manifest = Manifest(
        format=FORMAT,
        name=spec.name,
        created_by=ourselves(),
        hash="",
        half="both",
        classes=spec.classes,
        default_edge_model=spec.default_edge_model,
        default_server_model=spec.default_server_model,
        frame=spec.frame,
        models=tuple(models),
        gate=spec.gate,
        class_folders=spec.class_folders,
        rounds=spec.rounds,
    )
    return msgspec.structs.replace(manifest, hash=manifest_hash(manifest))


def ourselves() -> str:
    """The program that writes a bundle, as ``created_by`` has it."""
    try:
        ours = version("edge-runtime")
    except PackageNotFoundError:
        ours = "from a source tree"
    return f"edge-export {ours}, torch {torch.__version__}"
