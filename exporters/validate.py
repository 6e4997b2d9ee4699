"""Run an exported file and compare it with the original network: neither exit codes nor imports say that it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edge_runtime.errors import ModelError
from edge_runtime.models import installed_runtimes, load_model
from edge_runtime.models.bundle import ModelFile, Precision, Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from exporters.validate_samples import Sample

TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 1e-2, "int8": 0.2}
"""Largest difference allowed, as a share of the largest reference value of that output.

Of DeiT-Tiny on real photos the worst were 1e-5 for fp32 and 0.11 for int8; a runtime that computes nonsense is near 1.
"""

FEATURE_TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2e-2, "int8": 0.25}
"""Largest relative L2 error of the features at a cut, or of a latent: the norm of the difference over the reference's.

Of EfficientNet-Lite0, Lite2 and a ResNet on real photos the worst were 0.006 for fp16 and 0.17 for int8; of an
ensemble's members 0.003 and 0.18.
"""

SENT = {"features", "latent"}
"""Outputs that are judged so: what a device sends is computed on, and no single value of it decides."""

RUNTIMES: dict[str, tuple[Runtime, ...]] = {"onnx": ("onnxruntime",), "tflite": ("litert", "tflite-runtime")}
"""Runtimes that could take a format."""


class Check(msgspec.Struct, frozen=True):
    """What one file did in one runtime: difference and its limit by output.

    It is the largest absolute one, of what is `SENT` the largest relative L2 error of a sample. ``same_label`` is the
    share of samples whose largest logit is the reference's, None without logits, and at least ``least_same_label``: 0
    unless asked for, since on synthetic photos the runner-up can be arbitrarily close. ``error`` is the runtime's
    complaint when there was no result.
    """

    file: str
    precision: Precision
    runtime: Runtime
    difference: dict[str, float]
    limit: dict[str, float]
    same_label: float | None
    error: str = ""
    least_same_label: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every output is within its limit, which a NaN is not, and enough labels stayed."""
        if self.error or (self.same_label or 0.0) < self.least_same_label:
            return False
        return all(self.difference[name] <= limit for name, limit in self.limit.items())


def check_file(
    source: bytes | Path,
    file: ModelFile,
    samples: Sequence[Sample],
    wanted: Sequence[Sample],
    least_same_label: float = 0.0,
) -> list[Check]:
    """Check a file, its bytes or its path, in every installed runtime that could take its format."""
    installed = installed_runtimes()
    return [
        check_runtime(source, file, runtime, samples, wanted, least_same_label)
        for runtime in RUNTIMES[file.format]
        if runtime in installed
    ]


def check_runtime(
    source: bytes | Path,
    file: ModelFile,
    runtime: Runtime,
    samples: Sequence[Sample],
    wanted: Sequence[Sample],
    least_same_label: float = 0.0,
) -> Check:
    """Run ``samples`` through a file in one runtime and compare with the ``wanted`` outputs.

    ``least_same_label`` is the share of samples, 0..1, whose largest logit must be that of ``wanted``. Whatever a
    runtime complains about is a result too, in ``Check.error``.
    """
    if file.inputs[0].shape[0] == -1:
        samples, wanted = [*samples, _twice(samples[0])], [*wanted, _twice(wanted[0])]
    limit = {tensor.name: _limit(tensor.name, file.precision, wanted) for tensor in file.outputs}
    try:
        model = load_model(source, file, runtime)
        answers = [model.run(sample) for sample in samples]
    except ModelError as error:
        return Check(file.path, file.precision, runtime, {}, limit, 0.0, str(error), least_same_label)
    pairs = list(zip(answers, wanted, strict=True))
    difference = {
        name: float(np.max([_difference(name, got[name], right[name]) for got, right in pairs])) for name in limit
    }
    same = [(got["logits"].argmax(1) == right["logits"].argmax(1)).all() for got, right in pairs if "logits" in limit]
    kept = float(np.mean(same)) if same else None
    return Check(file.path, file.precision, runtime, difference, limit, kept, least_same_label=least_same_label)


def _limit(output: str, precision: Precision, wanted: Sequence[Sample]) -> float:
    if output in SENT:
        return FEATURE_TOLERANCE[precision]
    return TOLERANCE[precision] * max(float(np.abs(answer[output]).max()) for answer in wanted)


def _difference(output: str, got: NDArray[Any], right: NDArray[Any]) -> float:
    if output in SENT:
        return float(np.linalg.norm(got - right) / np.linalg.norm(right))
    return float(np.abs(got - right).max())


def _twice(arrays: Sample) -> Sample:
    """A batch of two: exporters have been seen to bake in a batch of one that was declared to vary."""
    return {name: np.concatenate([array, array]) for name, array in arrays.items()}
