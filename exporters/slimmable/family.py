"""A family of encoders between which a device changes: trained weights, taken apart into what is exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from exporters.networks.catalogue import load_weights
from exporters.networks.channel_slimmable import WIDTHS, SlimEncoder
from exporters.networks.ensemble import CHANNELS, MEMBERS, EnsembleEncoder
from exporters.networks.latent import SlimmableNetwork
from exporters.networks.latent_parts import at_width, member

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

TRAINED = "model.pt"


@dataclass(frozen=True)
class Family:
    """The ``encoders``, least to most work, and the ``decoder`` of their latents float32 ``[C, h, w]``.

    With ``sums`` the first n outputs add up, else the n-th is used alone. ``steps`` float32 ``[levels, C]`` are those
    of the quantiser, for each number of ``levels``.
    """

    name: str
    sums: bool
    encoders: tuple[nn.Module, ...]
    decoder: nn.Module
    levels: tuple[int, ...]
    steps: NDArray[np.float32]

    def latents(self, parts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents ``[encoders, C, h, w]`` of every number of encoders, from what each gave, in the device's order."""
        return np.cumsum(parts, axis=0, dtype=np.float32) if self.sums else parts


def ensemble(run: Path) -> Family:
    """What `edge-export train ensemble` left in the folder ``run``; raises ``ModelError``."""
    encoder = EnsembleEncoder()
    network = _trained(encoder, run)
    encoders = tuple(member(encoder, number) for number in range(1, MEMBERS + 1))
    return _family("ensemble", network, encoders, sums=True)


def widths(run: Path) -> Family:
    """What `edge-export train widths` left in the folder ``run``; raises ``ModelError``."""
    encoder = SlimEncoder()
    network = _trained(encoder, run)
    encoders = tuple(at_width(encoder, number) for number in range(1, WIDTHS + 1))
    return _family("widths", network, encoders, sums=False)


def _trained(encoder: nn.Module, run: Path) -> SlimmableNetwork:
    network = SlimmableNetwork(encoder, CHANNELS)
    load_weights(network, run / TRAINED)
    return network.eval().requires_grad_(False)


def _family(name: str, network: SlimmableNetwork, encoders: tuple[nn.Module, ...], *, sums: bool) -> Family:
    levels = network.quantiser.levels
    steps = torch.stack([network.quantiser.steps(count) for count in levels])
    return Family(name, sums, encoders, network.decoder, levels, steps.numpy())
