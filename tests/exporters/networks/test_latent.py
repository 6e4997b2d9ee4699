"""The quantiser that learns its steps, and the decoder behind it."""

from __future__ import annotations

import pytest
import torch

from exporters.networks.ensemble import EnsembleEncoder
from exporters.networks.latent import LEVELS, Quantiser, SlimmableNetwork


@pytest.mark.parametrize("levels", LEVELS)
def test_values_are_levels_about_zero(levels: int) -> None:
    """As many as were asked for, one step apart, symmetric, and none further off than half a step inside the range."""
    quantiser = Quantiser(2)
    step = quantiser.steps(levels).detach()
    latent = torch.linspace(-4, 4, 2001).repeat(2, 1)[None, :, :, None]
    found = quantiser(latent, levels).detach()
    for channel in range(2):
        values = torch.unique(found[0, channel])
        wanted = (torch.arange(levels) - (levels - 1) / 2) * step[channel]
        torch.testing.assert_close(values, wanted)
    inside = latent.abs() <= levels / 2 * step[0]
    assert (found - latent).abs()[inside].max() <= step[0] / 2 + 1e-6


def test_gradients_pass_where_nothing_is_cut_off() -> None:
    """As if nothing were rounded; beyond the range only the step learns."""
    quantiser = Quantiser(1)
    latent = torch.tensor([[[[0.1, 9.0]]]], requires_grad=True)
    torch.autograd.backward(quantiser(latent, 4).sum())
    assert latent.grad is not None
    assert latent.grad.flatten().tolist() == [1, 0]
    assert quantiser.log_steps.grad is not None
    assert quantiser.log_steps.grad[LEVELS.index(4)] != 0
    assert quantiser.log_steps.grad[LEVELS.index(2)] == 0


def test_a_network_takes_every_mode() -> None:
    """From pictures to the classifier's features, in every number of encoders and levels."""
    network = SlimmableNetwork(EnsembleEncoder(), 12).eval().requires_grad_(False)
    for latent in network.latents(torch.randn(1, 3, 32, 32)):
        for levels in LEVELS:
            assert network.features(latent, levels).shape == (1, 40, 4, 4)
