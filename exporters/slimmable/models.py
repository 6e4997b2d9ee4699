"""The models of slimmable encoders: each encoder, the families' decoders, and the whole network; every file checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from tqdm import tqdm

from edge_runtime.errors import ModelError
from edge_runtime.models.bundle import Kind, ModelFile, ModelSpec, Role
from exporters.bundle_files import Exporter
from exporters.bundle_models import Prepared
from exporters.bundle_shared import share_files
from exporters.bundle_spec import FileEntry
from exporters.networks.efficientnet_lite import MEAN, STD
from exporters.networks.latent_parts import LatentClassifier
from exporters.networks.readings import read_as
from exporters.slimmable.encoder_files import EncoderExporter
from exporters.validate import Check, check_file
from exporters.validate_samples import Sample, samples_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from efficientnet_lite_pytorch import EfficientNet
    from numpy.typing import NDArray
    from torch import nn

    from exporters.slimmable.family import Family

CHECKED, RANGED = 8, 64
"""Photos that every file is run on, and those that int8 takes the activations' ranges from."""

STORED = FileEntry("onnx", "fp16")
"""How the server's models are stored."""

NETWORK = "lite0"


class Models:
    """Writes models into ``folder``; ``checks`` says how far each file is from PyTorch.

    ``photos [N, S, S, 3]`` uint8 are evenly sampled; ``scratch`` is a folder for the float32 files. Raises
    ``ModelError`` for a model without a file that agrees.
    """

    def __init__(self, photos: NDArray[np.uint8], folder: Path, scratch: Path) -> None:
        self._folder, self._scratch = folder, scratch
        self._checked, self._ranged = _images(photos, CHECKED), _images(photos, RANGED)
        self.checks: list[Check] = []

    def encoders(self, family: Family, entries: Sequence[FileEntry]) -> list[ModelSpec]:
        """The device's, in the files of ``entries``, called ``<family>.<number>``."""
        numbered = tqdm(enumerate(family.encoders, 1), f"exporting {family.name}", len(family.encoders), unit="encoder")
        return [self._encoder(f"{family.name}.{number}", network, entries) for number, network in numbered]

    def server(self, network: EfficientNet, families: Sequence[Family]) -> list[ModelSpec]:
        """The whole ``network``, for the server and for the device, and the families' decoders in front of its rest.

        All refer to one file of weights.
        """
        prepared = {NETWORK: _prepared("cnn-filled", network, self._checked)}
        for family in families:
            classifier = LatentClassifier(family.decoder, network)
            prepared[decoder_name(family)] = _prepared("latent-decoder", classifier, self._latents(family))
        written = [
            Exporter(one.reading, one.samples[0], self._scratch).write(STORED, self._path(name, STORED))
            for name, one in tqdm(prepared.items(), "exporting the server's", unit="model")
        ]
        models = []
        for (name, one), file in zip(prepared.items(), share_files(written, self._folder), strict=True):
            kind: Kind = "cnn-filled" if name == NETWORK else "latent-decoder"
            models.append(self._claimed(name, "server", kind, one, [file]))
        return [models[0], msgspec.structs.replace(models[0], role="edge", kind="cnn-whole"), *models[1:]]

    def _encoder(self, name: str, network: nn.Module, entries: Sequence[FileEntry]) -> ModelSpec:
        prepared = _prepared("latent-encoder", network, self._checked)
        exporter = EncoderExporter(prepared.reading, self._ranged, self._scratch)
        files = [exporter.write(entry, self._path(name, entry)) for entry in entries]
        return self._claimed(name, "edge", "latent-encoder", prepared, files)

    def _latents(self, family: Family) -> list[Sample]:
        """Of all encoders, as a decoder takes them but for the rounding."""
        readings = [read_as("latent-encoder", encoder) for encoder in family.encoders]
        parts = [np.concatenate([reading.answer(sample)["latent"] for reading in readings]) for sample in self._checked]
        return [{"latent": family.latents(part)[-1:]} for part in parts]

    def _path(self, name: str, entry: FileEntry) -> Path:
        return self._folder / f"{name}-{entry.precision}.{entry.format}"

    def _claimed(self, name: str, role: Role, kind: Kind, prepared: Prepared, files: Sequence[ModelFile]) -> ModelSpec:
        """The model with those of its files that answer right, each with the runtimes in which it does."""
        kept = []
        for file in files:
            made = check_file(self._folder / file.path, file, prepared.samples, prepared.wanted)
            self.checks += made
            if runtimes := tuple(check.runtime for check in made if check.passed):
                kept.append(msgspec.structs.replace(file, runtimes=runtimes))
        if not kept:
            raise ModelError(f"{name}: none of its files agrees with PyTorch in an installed runtime; add onnx-fp16")
        return ModelSpec(name, role, kind, MEAN, STD, prepared.parameters, prepared.macs, tuple(kept))


def decoder_name(family: Family) -> str:
    """Name of the server's model for a family."""
    return f"{family.name}.decoder"


def _prepared(kind: Kind, network: nn.Module, samples: list[Sample]) -> Prepared:
    reading = read_as(kind, network)
    return Prepared(reading, samples, [reading.answer(sample) for sample in samples])


def _images(photos: NDArray[np.uint8], count: int) -> list[Sample]:
    chosen = photos[np.linspace(0, len(photos) - 1, min(count, len(photos))).astype(int)]
    return samples_of("latent-encoder", chosen, MEAN, STD, 1)
