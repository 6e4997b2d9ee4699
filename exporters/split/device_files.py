"""What the device runs of a network, in every format and precision, each derived from the exact one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import onnx

from edge_runtime.errors import ArgumentError
from exporters.quantize_onnx import halve, quantize_static_onnx

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import nn

    from exporters.bundle_files import Tensors
    from exporters.bundle_spec import FileEntry
    from exporters.validate_samples import Sample


class DeviceFiles:
    """Writes files of ``exact``, a float32 ONNX file: a network's first half, or all of it.

    Activations get the ranges that they have on ``samples``, of which the first is mapped to the first of ``answers``.
    ``tensors`` are the ONNX file's. ``module`` is the whole network in PyTorch, which TFLite files need; ``scratch`` is
    a folder for the float32 one.
    """

    def __init__(
        self,
        exact: Path,
        tensors: Tensors,
        samples: Sequence[Sample],
        answers: Sequence[Sample],
        module: nn.Module | None,
        scratch: Path,
    ) -> None:
        self._exact, self._tensors = exact, tensors
        self._samples, self._answers = samples, answers
        self._module = module
        self._tflite = scratch / f"{exact.stem}.tflite"

    def write(self, entry: FileEntry, path: Path) -> Tensors:
        """Write the file and return its inputs and outputs."""
        return self._write_onnx(entry, path) if entry.format == "onnx" else self._write_tflite(entry, path)

    def _write_onnx(self, entry: FileEntry, path: Path) -> Tensors:
        if entry.precision == "int8":
            name = self._tensors[0][0].tensor
            quantize_static_onnx(self._exact, path, [{name: sample["image"]} for sample in self._samples])
        else:
            model = onnx.load(self._exact)
            if entry.precision == "fp16":
                halve(model)
            onnx.save(model, path)
        return self._tensors

    def _write_tflite(self, entry: FileEntry, path: Path) -> Tensors:
        from exporters.quantize_tflite import halve_tflite, quantize_static_tflite
        from exporters.tflite import tflite_tensors

        if not self._tflite.exists():
            self._export_tflite(path)
        if entry.precision == "int8":
            quantize_static_tflite(self._tflite, path, [sample["image"] for sample in self._samples])
        elif entry.precision == "fp16":
            halve_tflite(self._tflite, path)
        else:
            shutil.copyfile(self._tflite, path)
        return tflite_tensors(path, self._samples[0], self._answers[0])

    def _export_tflite(self, path: Path) -> None:
        from exporters.networks.readings import ImageReading, PrefixReading
        from exporters.split.torch_prefix import torch_prefix
        from exporters.tflite import export_tflite

        if self._module is None:
            raise ArgumentError(f"{path.name}: TFLite is made from PyTorch, and this network came as ONNX; omit it")
        sample, ((output, end),) = self._samples[0], self._answers[0].items()
        reading = PrefixReading if output == "features" else ImageReading
        export_tflite(reading(torch_prefix(self._module, sample["image"], end)), sample, self._tflite)
