"""The masked autoencoder that recovers pictures."""

from __future__ import annotations

import pytest
import torch

from exporters.networks.mae import MaeConfig, MaskedAutoencoder, from_patches, sine_positions, to_patches

TINY = MaeConfig(image_size=32, patch=8, width=16, depth=2, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=1)


@pytest.fixture(scope="module")
def network() -> MaskedAutoencoder:
    """Sixteen patches of 8 × 8 pixels, random weights."""
    torch.manual_seed(0)
    return MaskedAutoencoder(TINY).eval().requires_grad_(False)


@pytest.mark.parametrize("visible", [1, 5, 16])
def test_recovers_every_patch_from_any_number(network: MaskedAutoencoder, visible: int) -> None:
    """Whatever is visible, all sixteen patches come out."""
    patches = torch.randn(2, visible, 192)
    positions = torch.stack([torch.randperm(16)[:visible] for _ in range(2)])
    assert network(patches, positions).shape == (2, 16, 192)


def test_order_of_the_visible_patches_means_nothing(network: MaskedAutoencoder) -> None:
    """Positions say where a patch belongs, not its place in the list."""
    patches, positions = torch.randn(1, 5, 192), torch.tensor([[3, 14, 0, 7, 9]])
    order = torch.tensor([2, 0, 4, 1, 3])
    torch.testing.assert_close(network(patches[:, order], positions[:, order]), network(patches, positions))


def test_positions_differ_everywhere() -> None:
    """No two patches of a grid have the same position vector."""
    positions = sine_positions(14, 64)
    distances = torch.cdist(positions, positions) + torch.eye(196) * 9
    assert positions.shape == (196, 64)
    assert distances.min() > 0.1


def test_patches_and_pictures_are_each_others_inverse() -> None:
    """Cutting and putting together again gives the picture; a patch is channel-major."""
    images = torch.randn(2, 3, 32, 32)
    patches = to_patches(images, 8)
    assert torch.equal(patches[0, 5], images[0, :, 8:16, 8:16].flatten())
    assert torch.equal(from_patches(patches, 8), images)
