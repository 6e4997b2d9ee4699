"""One model of a spec in PyTorch: its network, what it must answer, what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from edge_runtime.errors import ModelError
from exporters.networks.catalogue import build_network
from exporters.networks.readings import Reading, read_as
from exporters.validate_samples import Sample, samples_of, with_states

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.models.bundle import FrameSpec
    from exporters.bundle_spec import ModelEntry


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
        # The counter overlooks the CPU's fused attention; as plain matrix products it is counted.
        with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            self.reading(*self.reading.example(self.samples[0]))
        return int(counter.get_total_flops()) // 2


def prepare_model(entry: ModelEntry, frame: FrameSpec, classes: int, base: Path, photos: NDArray[np.uint8]) -> Prepared:
    """Build the network of ``entry`` (its paths start at ``base``) and answer ``photos [B, S, S, 3]`` with it."""
    network = build_network(entry, frame, classes, base)
    reading = read_as(entry.kind, network, all_layers=entry.all_layers)
    samples = samples_of(entry.kind, photos, entry.mean, entry.std, frame.patch)
    if entry.kind == "vit-update":
        samples = with_states(samples, read_as("vit-states", network).answer)
    wanted = [reading.answer(sample) for sample in samples]
    if "logits" in wanted[0] and (answered := wanted[0]["logits"].shape) != (1, classes):
        raise ModelError(f"{entry.name}: its logits are {list(answered)}, but {classes} classes are named")
    return Prepared(reading, samples, wanted)
