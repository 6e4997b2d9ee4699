"""An encoder's files: int8 is static, of convolutions alone.

Norms of each picture by itself stay in floating point, and in TFLite squeeze-and-excitation does too: XNNPACK, on which
both runtimes rest, refuses to run it in int8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporters.bundle_files import Exporter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exporters.networks.readings import Reading
    from exporters.validate_samples import Sample

FLOATING = ".*SqueezeExcite.*"


class EncoderExporter(Exporter):
    """Writes files of ``reading``, a ``latent-encoder``; activations get the ranges that they have on ``samples``."""

    def __init__(self, reading: Reading, samples: Sequence[Sample], scratch: Path) -> None:
        super().__init__(reading, samples[0], scratch)
        self._samples = samples

    def _quantize_onnx(self, source: Path, path: Path) -> None:
        from exporters.quantize_onnx import quantize_static_onnx

        quantize_static_onnx(source, path, self._samples)

    def _quantize_tflite(self, source: Path, path: Path) -> None:
        from exporters.quantize_tflite import quantize_convolutions_tflite

        images = [sample["image"] for sample in self._samples]
        quantize_convolutions_tflite(source, path, images, spared=FLOATING)
