"""The teacher of the zoo's transformers: DeiT-Tiny, from a file of its official weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporters.networks.catalogue import load_weights
from exporters.networks.vit import VisionTransformer, VitConfig

if TYPE_CHECKING:
    from pathlib import Path


def deit_tiny(weights: Path) -> VisionTransformer:
    """The frozen network."""
    network = VisionTransformer(VitConfig())
    load_weights(network, weights)
    return network.eval().requires_grad_(False)
