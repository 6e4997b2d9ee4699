"""Run an exported file in a runtime and compare it with PyTorch: neither exit codes nor imports say that it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_runtime.errors import ModelError
from edge_runtime.models import installed_runtimes, load_model
from edge_runtime.models.bundle import ModelFile, Precision, Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporters.validate_samples import Sample

TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 1e-2, "int8": 0.2}
"""Largest difference allowed, as a share of the largest reference value of that output.

Of DeiT-Tiny on real photos the worst were 1e-5 for fp32 and 0.11 for int8; a runtime that computes nonsense is near 1.
"""

RUNTIMES: dict[str, tuple[Runtime, ...]] = {"onnx": ("onnxruntime",), "tflite": ("litert", "tflite-runtime")}
"""Runtimes that could take a format."""


class Check(msgspec.Struct, frozen=True):
    """What one file did in one runtime: largest absolute difference and its limit by output.

    ``same_label`` is the share of samples whose largest logit is the reference's; it decides nothing, for on synthetic
    photos the runner-up can be arbitrarily close. ``error`` is the runtime's complaint when there was no result.
    """

    file: str
    precision: Precision
    runtime: Runtime
    difference: dict[str, float]
    limit: dict[str, float]
    same_label: float
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether every output is within its limit; a NaN is not."""
        return not self.error and all(self.difference[name] <= limit for name, limit in self.limit.items())


def check_file(data: bytes, file: ModelFile, samples: Sequence[Sample], wanted: Sequence[Sample]) -> list[Check]:
    """Check a file in every installed runtime that could take its format."""
    installed = installed_runtimes()
    return [
        check_runtime(data, file, runtime, samples, wanted) for runtime in RUNTIMES[file.format] if runtime in installed
    ]


def check_runtime(
    data: bytes, file: ModelFile, runtime: Runtime, samples: Sequence[Sample], wanted: Sequence[Sample]
) -> Check:
    """Run ``samples`` through a file in one runtime and compare with the ``wanted`` outputs.

    Whatever a runtime complains about is a result too, in ``Check.error``.
    """
    if file.inputs[0].shape[0] == -1:
        samples, wanted = [*samples, _twice(samples[0])], [*wanted, _twice(wanted[0])]
    limit = {
        tensor.name: TOLERANCE[file.precision] * max(float(np.abs(answer[tensor.name]).max()) for answer in wanted)
        for tensor in file.outputs
    }
    try:
        model = load_model(data, file, runtime)
        answers = [model.run(sample) for sample in samples]
    except ModelError as error:
        return Check(file.path, file.precision, runtime, {}, limit, 0.0, str(error))
    difference = {
        name: float(np.max([np.abs(got[name] - right[name]).max() for got, right in zip(answers, wanted, strict=True)]))
        for name in limit
    }
    same = [
        (got["logits"].argmax(1) == right["logits"].argmax(1)).all() for got, right in zip(answers, wanted, strict=True)
    ]
    return Check(file.path, file.precision, runtime, difference, limit, float(np.mean(same)))


def _twice(arrays: Sample) -> Sample:
    """A batch of two: exporters have been seen to bake in a batch of one that was declared to vary."""
    return {name: np.concatenate([array, array]) for name, array in arrays.items()}
