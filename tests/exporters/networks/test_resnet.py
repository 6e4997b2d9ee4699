"""The residual network has the shapes and the cost it says, and its maps are never negative."""

from __future__ import annotations

import torch

from exporters.networks.resnet import ResNet


def test_shapes_and_size() -> None:
    """2.8 million parameters; logits per class; the last map at a 32nd of the side."""
    network = ResNet(7).eval()
    images = torch.zeros(2, 3, 64, 64)
    assert network(images).shape == (2, 7)
    assert network.features(images).shape == (2, 256, 2, 2)
    assert 2.7e6 < sum(parameter.numel() for parameter in network.parameters()) < 2.9e6


def test_maps_are_rectified() -> None:
    """Every block ends in a ReLU, and some values are zero."""
    network = ResNet(3).eval()
    with torch.no_grad():
        features = network.features(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert features.min() == 0
