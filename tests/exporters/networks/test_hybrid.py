"""The zoo's edge network."""

from __future__ import annotations

import torch

from exporters.networks.hybrid import HybridConfig, HybridVit


def test_reports_attention_on_a_plain_vits_grid() -> None:
    """A 96-pixel image has 6 × 6 patches and a class token."""
    network = HybridVit(HybridConfig(image_size=96, width=24, depth=2, heads=2, classes=5)).eval()
    with torch.no_grad():
        logits, attention = network.forward_with_attention(torch.randn(2, 3, 96, 96))
    assert logits.shape == (2, 5)
    assert attention.shape == (2, 2, 37)


def test_default_shape_fits_a_weak_device() -> None:
    """At most 1.5 million parameters."""
    assert sum(p.numel() for p in HybridVit(HybridConfig()).parameters()) <= 1_500_000
