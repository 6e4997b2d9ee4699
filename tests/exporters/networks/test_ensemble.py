"""The ensemble encoder: parts that add up."""

from __future__ import annotations

import pytest
import torch

from exporters.networks.ensemble import MEMBERS, EnsembleEncoder


@pytest.fixture(scope="module")
def encoder() -> EnsembleEncoder:
    """Random weights."""
    torch.manual_seed(0)
    return EnsembleEncoder().eval().requires_grad_(False)


def test_every_number_of_members_gives_one_shape(encoder: EnsembleEncoder) -> None:
    """A latent of an eighth of the picture's side, however many members made it."""
    latents = encoder(torch.randn(2, 3, 64, 48))
    assert [latent.shape for latent in latents] == [(2, 12, 8, 6)] * MEMBERS


def test_members_add_up_by_their_weights(encoder: EnsembleEncoder) -> None:
    """Each latent is the one before and the next member's part; at first each member counts half of the one before."""
    images = torch.randn(1, 3, 32, 32)
    latents = encoder(images)
    assert encoder.weights.tolist() == [1, 0.5, 0.25, 0.125]
    for number in range(1, MEMBERS):
        part = encoder.weights[number] * encoder.members[number](images)
        torch.testing.assert_close(latents[number], latents[number - 1] + part)
