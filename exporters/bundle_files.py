"""One network's files: exported once per format in float32, every other precision derived from that."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

from edge_runtime.models.bundle import ModelFile, StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_runtime.models.bundle import Tensor
    from exporters.bundle_spec import FileEntry, Format
    from exporters.networks.readings import Reading
    from exporters.validate_samples import Sample

    Derivation = Callable[[Path, Path], None]
    Tensors = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def stored_file(path: Path) -> StoredFile:
    """Describe a file that is no model itself."""
    data = path.read_bytes()
    return StoredFile(path.name, hashlib.sha256(data).hexdigest(), len(data))


def model_file(
    entry: FileEntry,
    path: Path,
    inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
    weights: StoredFile | None = None,
) -> ModelFile:
    """Describe a model's file, as yet without any runtime that it is good for."""
    stored = stored_file(path)
    return ModelFile(
        path=stored.path,
        format=entry.format,
        precision=entry.precision,
        runtimes=(),
        sha256=stored.sha256,
        bytes=stored.bytes,
        inputs=inputs,
        outputs=outputs,
        weights=weights,
    )


class Exporter:
    """Writes files of ``reading``; ``scratch`` is a folder that outlives it, for the float32 files."""

    def __init__(self, reading: Reading, sample: Sample, scratch: Path) -> None:
        self._reading, self._sample, self._scratch = reading, sample, scratch
        self._exported: dict[Format, Path] = {}

    def write(self, entry: FileEntry, path: Path) -> ModelFile:
        """Write the file ``path`` and describe it, as yet without any runtime that it is good for."""
        write = self._write_onnx if entry.format == "onnx" else self._write_tflite
        inputs, outputs = write(entry, path)
        return model_file(entry, path, inputs, outputs)

    def _write_onnx(self, entry: FileEntry, path: Path) -> Tensors:
        from exporters.onnx import export_onnx, onnx_tensors
        from exporters.quantize_onnx import halve_onnx

        if "onnx" not in self._exported:
            self._exported["onnx"] = self._scratch / f"{path.stem}-exported.onnx"
            export_onnx(self._reading, self._sample, self._exported["onnx"])
        derive: Derivation = {"fp32": _copy, "fp16": halve_onnx, "int8": self._quantize_onnx}[entry.precision]
        derive(self._exported["onnx"], path)
        return onnx_tensors(path)

    def _write_tflite(self, entry: FileEntry, path: Path) -> Tensors:
        from exporters.quantize_tflite import halve_tflite
        from exporters.tflite import export_tflite, tflite_tensors

        if "tflite" not in self._exported:
            self._exported["tflite"] = self._scratch / f"{path.stem}-exported.tflite"
            export_tflite(self._reading, self._sample, self._exported["tflite"])
        derive: Derivation = {"fp32": _copy, "fp16": halve_tflite, "int8": self._quantize_tflite}[entry.precision]
        derive(self._exported["tflite"], path)
        return tflite_tensors(path, self._sample, self._reading.answer(self._sample))

    def _quantize_onnx(self, source: Path, path: Path) -> None:
        from exporters.quantize_onnx import quantize_onnx

        quantize_onnx(source, path)

    def _quantize_tflite(self, source: Path, path: Path) -> None:
        from exporters.quantize_tflite import quantize_tflite

        quantize_tflite(source, path)


def _copy(source: Path, path: Path) -> None:
    shutil.copyfile(source, path)
