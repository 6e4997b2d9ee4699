"""A bundle of slimmable encoders: models, the codec's tables, and what every mode was measured to bring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.models import Bundle, Execution, open_model
from edge_runtime.models.bundle import FORMAT, FrameSpec, LatentSpec, Manifest, manifest_hash
from edge_runtime.photos import open_frame
from exporters.bundle import ourselves
from exporters.bundle_files import stored_file
from exporters.bundle_folder import check_replaceable, write_bundle
from exporters.calibration.latents import LatentEncoders, latent_tables
from exporters.calibration.modes import ModeMeasurement
from exporters.imagenette import IMAGENET_INDICES, IMAGENETTE, NAMES
from exporters.networks.efficientnet_lite import MEAN, STD, efficientnet_lite
from exporters.slimmable.models import NETWORK, Models, decoder_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.control.modes import ModeTable
    from edge_runtime.labelled_photos import Photo
    from exporters.bundle_spec import FileEntry
    from exporters.slimmable.family import Family
    from exporters.validate import Check

FRAME = FrameSpec(size=224, patch=16, resize=224)
EMPTY = Manifest(
    format=FORMAT,
    name="",
    created_by="",
    hash="",
    half="both",
    classes=NAMES,
    default_edge_model=NETWORK,
    default_server_model=NETWORK,
    frame=FRAME,
    models=(),
    class_folders=tuple(entry.wnid for entry in IMAGENETTE),
)
"""The manifest before there are models: what photos become and which classes they have."""


@dataclass(frozen=True)
class Slimmable:
    """What was written: the manifest, every check that was made, and the modes by family."""

    manifest: Manifest
    checks: list[Check]
    modes: dict[str, ModeTable]


def write_slimmable(
    name: str,
    families: Sequence[Family],
    entries: Sequence[FileEntry],
    training: Sequence[Photo],
    held_out: Sequence[Photo],
    out: Path,
) -> Slimmable:
    """Write the bundle ``name`` of ``families``, the first being the default, into the folder ``out``.

    Encoders are written in the files of ``entries``. Ranges of int8 activations and the codec's tables come from
    ``training`` photos, the modes from those ``held_out``. Raises ``ModelError`` when a model has no file that agrees
    with PyTorch.
    """
    check_replaceable(out)
    pixels = np.stack([open_frame(photo.data, FRAME) for photo in training])
    with TemporaryDirectory() as files, TemporaryDirectory() as scratch:
        folder = Path(files)
        models = Models(pixels, folder, Path(scratch))
        specs = models.server(efficientnet_lite(0, IMAGENET_INDICES), families)
        for family in families:
            specs += models.encoders(family, entries)
        manifest = msgspec.structs.replace(EMPTY, name=name, created_by=ourselves(), models=tuple(specs))
        calibration = _Calibration(Bundle(folder, manifest), pixels, held_out)
        latents, modes = [], {}
        for family in families:
            spec, modes[family.name] = calibration.latent(family)
            latents.append(spec)
        manifest = msgspec.structs.replace(manifest, latents=tuple(latents))
        manifest = msgspec.structs.replace(manifest, hash=manifest_hash(manifest))
        return Slimmable(write_bundle(manifest, folder, out, "both"), models.checks, modes)


class _Calibration:
    """Measures families with the files of a bundle that has their models, but no tables yet."""

    def __init__(self, bundle: Bundle, training: NDArray[np.uint8], held_out: Sequence[Photo]) -> None:
        self._bundle, self._training, self._held_out = bundle, training, held_out

    def latent(self, family: Family) -> tuple[LatentSpec, ModeTable]:
        """Write a family's tables and modes, and describe it."""
        names = tuple(f"{family.name}.{number}" for number in range(1, len(family.encoders) + 1))
        specs = [self._bundle.model("edge", name) for name in names]
        models = [open_model(self._bundle, spec, Execution("onnxruntime")) for spec in specs]
        encoders = LatentEncoders(models, family.latents, MEAN, STD)
        tables = latent_tables(encoders, self._training, family.levels, family.steps)
        decoder, network = (
            open_model(self._bundle, self._bundle.model("server", name)) for name in (decoder_name(family), NETWORK)
        )
        measurement = ModeMeasurement(encoders, LatentCodec.load(tables), decoder, network, MEAN, STD)
        modes = measurement.table(self._held_out, FRAME)
        tables_path, modes_path = (self._bundle.folder / f"{family.name}.{end}" for end in ("tables", "modes.json"))
        tables_path.write_bytes(tables)
        modes_path.write_bytes(modes.dump())
        stored = stored_file(tables_path), stored_file(modes_path)
        return LatentSpec(family.name, names, family.sums, decoder_name(family), *stored), modes
