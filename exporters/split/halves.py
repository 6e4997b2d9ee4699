"""The models of a split network: the whole, and both halves of each cut, every file run and compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import onnx
from onnx import TensorProto

from edge_runtime.errors import ArgumentError, ModelError
from edge_runtime.models.bundle import Kind, ModelFile, ModelSpec, Role, StoredFile, Tensor, Triple
from exporters.bundle_files import model_file, stored_file
from exporters.bundle_spec import FileEntry
from exporters.quantize_onnx import halve
from exporters.split.device_files import DeviceFiles
from exporters.split.graph import Graph
from exporters.split.session import Session
from exporters.split.weights import externalise
from exporters.validate import Check, check_file
from exporters.validate_samples import samples_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from exporters.bundle_files import Tensors
    from exporters.split.cuts import Cut
    from exporters.split.source import Network
    from exporters.validate_samples import Sample

CHECKED, RANGED = 8, 64
"""Photos that every file is run on, and those that int8 takes the activations' ranges from."""

SAME_LABELS = 0.95
"""Share of those that the whole network on the device must label as the original does."""

STORED = FileEntry("onnx", "fp16")
"""How the server's models are stored."""


class Halves:
    """Writes the models of one network into ``folder``; ``checks`` says how far each file is from the original.

    ``photos [N, S, S, 3]`` uint8 are normalised with ``mean`` and ``std``, 0..255 units. All files of the server's side
    refer to one file of float16 weights, and so does the device's whole network where it is stored alike.
    """

    def __init__(
        self, name: str, network: Network, photos: NDArray[np.uint8], mean: Triple, std: Triple, folder: Path
    ) -> None:
        if network.graph.batch is not None:
            raise ModelError(f"{name}: takes batches of {network.graph.batch} only; export it with an open batch")
        self._name, self._network, self._folder = name, network, folder
        self._mean, self._std = mean, std
        self._samples = samples_of("cnn-filled", _evenly(photos, CHECKED), mean, std, 1)
        self._ranged = samples_of("cnn-filled", _evenly(photos, RANGED), mean, std, 1)
        self._graph = network.graph
        self._stored, self._weights = self._store()
        self._logits = _answers(self._graph.model, self._samples, self._graph.image.name, "image", "logits")
        self.checks: list[Check] = []

    @property
    def classes(self) -> int:
        """Length of the logits."""
        shape: tuple[int, ...] = self._logits[0]["logits"].shape
        if len(shape) != 2 or shape[0] != 1:
            raise ModelError(f"{self._name}: its logits are {list(shape)}, not [1, classes]")
        return shape[1]

    def whole(self, macs: int) -> ModelSpec:
        """The network in one piece, for photos that the device does not begin."""
        path = self._folder / f"{self._name}-fp16.onnx"
        path.write_bytes(self._stored.part(self._stored.image, self._stored.logits).SerializeToString())
        tensors = (self._image(),), (self._answer(),)
        files = self._claim(path, STORED, tensors, self._samples, self._logits, self._weights)
        return self._spec(self._name, "server", "cnn-filled", self._graph.model, macs, files)

    def device_whole(self, server: ModelSpec, entries: Sequence[FileEntry], exact: Path) -> ModelSpec:
        """The same for the device, in the files of ``entries``; what ``server`` is stored as is not written again.

        ``exact`` is where its float32 file goes.
        """
        onnx.save(self._graph.model, exact)
        answers = _answers(self._graph.model, self._ranged, self._graph.image.name, "image", "logits")
        writer = self._device_files(exact, self._answer(), answers)
        files: list[ModelFile] = []
        for entry in entries:
            if entry == STORED:
                files += server.files
                continue
            path = self._folder / f"{self._name}-{entry.precision}.{entry.format}"
            tensors = writer.write(entry, path)
            files += self._claim(path, entry, tensors, self._ranged, answers, same_labels=SAME_LABELS)
        return self._spec(self._name, "edge", "cnn-whole", self._graph.model, server.macs, files)

    def prefix(self, cut: Cut, entries: Sequence[FileEntry], exact: Path) -> ModelSpec:
        """The device's half, in the files of ``entries``; ``exact`` is where its float32 file goes."""
        model = self._graph.part(self._graph.image, self._graph.value(cut.tensor, cut.shape))
        onnx.save(model, exact)
        answers = self.features(cut)
        writer = self._device_files(exact, self._features(cut), answers)
        files: list[ModelFile] = []
        for entry in entries:
            path = self._folder / f"{self._name}.{cut.name}-prefix-{entry.precision}.{entry.format}"
            files += self._claim(path, entry, writer.write(entry, path), self._samples, answers)
        return self._spec(f"{self._name}.{cut.name}", "edge", "cnn-prefix", model, cut.prefix_macs, files)

    def suffix(self, cut: Cut) -> ModelSpec:
        """The server's half, which goes on from exact features."""
        start = self._graph.value(cut.tensor, cut.shape)
        path = self.suffix_path(cut)
        path.write_bytes(self._stored.part(start, self._stored.logits).SerializeToString())
        tensors = (self._features(cut),), (self._answer(),)
        files = self._claim(path, STORED, tensors, self.features(cut), self._logits, self._weights)
        model = self._graph.part(start, self._graph.logits)
        return self._spec(f"{self._name}.{cut.name}", "server", "cnn-suffix", model, cut.suffix_macs, files)

    def suffix_path(self, cut: Cut) -> Path:
        """Where the suffix's only file lies."""
        return self._folder / f"{self._name}.{cut.name}-suffix-fp16.onnx"

    def features(self, cut: Cut) -> list[Sample]:
        """What the exact prefix makes of the photos that files are checked on."""
        model = self._graph.part(self._graph.image, self._graph.value(cut.tensor, cut.shape))
        return _answers(model, self._samples, self._graph.image.name, "image", "features")

    def _store(self) -> tuple[Graph, StoredFile | None]:
        model, path = onnx.ModelProto(), self._folder / f"{self._name}-fp16.weights"
        model.CopyFrom(self._graph.model)
        halve(model)
        externalise([model], path)
        return Graph(model), stored_file(path) if path.stat().st_size else None

    def _device_files(self, exact: Path, output: Tensor, answers: Sequence[Sample]) -> DeviceFiles:
        tensors = (self._image(),), (output,)
        return DeviceFiles(exact, tensors, self._ranged, answers, self._network.module, exact.parent)

    def _claim(
        self,
        path: Path,
        entry: FileEntry,
        tensors: Tensors,
        samples: Sequence[Sample],
        answers: Sequence[Sample],
        weights: StoredFile | None = None,
        same_labels: float = 0.0,
    ) -> list[ModelFile]:
        """The file with the runtimes in which it answers right, or nothing when there is none."""
        file = model_file(entry, path, *tensors, weights)
        made = check_file(path, file, samples, answers, same_labels)
        self.checks += made
        runtimes = tuple(check.runtime for check in made if check.passed)
        return [msgspec.structs.replace(file, runtimes=runtimes)] if runtimes else []

    def _spec(
        self, name: str, role: Role, kind: Kind, model: onnx.ModelProto, macs: int, files: list[ModelFile]
    ) -> ModelSpec:
        if not files:
            failed = "; ".join(sorted({check.error or f"{check.file} differs" for check in self.checks[-4:]}))
            raise ModelError(f"{name}: none of its {kind} files agrees with the original network ({failed})")
        return ModelSpec(name, role, kind, self._mean, self._std, _parameters(model), macs, tuple(files))

    def _image(self) -> Tensor:
        size = self._graph.size
        return Tensor("image", self._graph.image.name, (-1, 3, size, size))

    def _features(self, cut: Cut) -> Tensor:
        return Tensor("features", cut.tensor, (-1, *cut.shape))

    def _answer(self) -> Tensor:
        return Tensor("logits", self._graph.logits.name, (-1, self.classes))


def read_files(names: Sequence[str]) -> list[FileEntry]:
    """Files for the device from words like ``onnx-fp16``; raises ``ArgumentError``."""
    try:
        return [
            msgspec.convert(dict(zip(("format", "precision"), name.split("-"), strict=True)), FileEntry)
            for name in names
        ]
    except (msgspec.ValidationError, ValueError):
        raise ArgumentError(f"files {' '.join(names)}: each is onnx- or tflite- and fp32, fp16 or int8") from None


def _answers(model: onnx.ModelProto, samples: Sequence[Sample], tensor: str, name: str, output: str) -> list[Sample]:
    session, (value,) = Session(model), model.graph.output
    return [{output: session({tensor: sample[name]})[value.name]} for sample in samples]


def _evenly(photos: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """So many photos of all, the first among them."""
    chosen: NDArray[np.uint8] = photos[np.linspace(0, len(photos) - 1, min(count, len(photos))).astype(int)]
    return chosen


def _parameters(model: onnx.ModelProto) -> int:
    learned = {TensorProto.FLOAT, TensorProto.FLOAT16}
    return sum(
        math.prod(weight.dims) for weight in model.graph.initializer if weight.data_type in learned and weight.dims
    )
