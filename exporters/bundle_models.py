"""One model of a spec in PyTorch: its network, what it must answer, what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from edge_runtime.errors import ModelError
from exporters.networks.catalogue import build_network
from exporters.networks.readings import Reading, read_as
from exporters.validate_samples import Sample, samples_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from exporters.bundle_spec import BundleSpec, ModelEntry


@dataclass(frozen=True)
class Prepared:
    """A network behind its kind's interface, with samples and PyTorch's answers to them."""

    reading: Reading
    samples: list[Sample]
    wanted: list[Sample]

    @property
    def parameters(self) -> int:
        """Count of learned numbers."""
        return sum(parameter.numel() for parameter in self.reading.parameters())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one whole photo."""
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            self.reading(*self.reading.example(self.samples[0]))
        return int(counter.get_total_flops()) // 2


def prepare_model(entry: ModelEntry, spec: BundleSpec, base: Path, photos: NDArray[np.uint8]) -> Prepared:
    """Build the network of ``entry`` (its paths start at ``base``) and answer ``photos [B, S, S, 3]`` with it."""
    network = build_network(entry, spec.frame, len(spec.classes), base)
    reading = read_as(entry.kind, network, all_layers=entry.all_layers)
    samples = samples_of(entry.kind, photos, entry.mean, entry.std, spec.frame.patch)
    wanted = [reading.answer(sample) for sample in samples]
    answered = wanted[0]["logits"].shape
    if answered != (1, len(spec.classes)):
        raise ModelError(f"{entry.name}: logits are {list(answered)}, but the spec names {len(spec.classes)} classes")
    return Prepared(reading, samples, wanted)
