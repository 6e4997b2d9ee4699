"""Trained folders become families."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from edge_runtime.errors import ModelError
from exporters.networks.channel_slimmable import SlimEncoder
from exporters.networks.ensemble import CHANNELS, EnsembleEncoder
from exporters.networks.latent import LEVELS, SlimmableNetwork
from exporters.slimmable.family import Family, ensemble, widths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("load", "encoder"), [(ensemble, EnsembleEncoder), (widths, SlimEncoder)])
def test_latents_are_those_of_the_trained_network(tmp_path: Path, load: type, encoder: type) -> None:
    """Of every number of encoders, from what each gave by itself; so are the steps."""
    torch.manual_seed(0)
    network = SlimmableNetwork(encoder(), CHANNELS).eval()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    family: Family = load(tmp_path)
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        parts = np.concatenate([one(images).numpy() for one in family.encoders])
        wanted = np.concatenate([latent.numpy() for latent in network.latents(images)])
    np.testing.assert_allclose(family.latents(parts), wanted, rtol=1e-4, atol=1e-5)
    assert family.levels == LEVELS
    for steps, count in zip(family.steps, LEVELS, strict=True):
        np.testing.assert_array_equal(steps, network.quantiser.steps(count).detach().numpy())


def test_runs_of_another_family_are_refused(tmp_path: Path) -> None:
    """In one line, which names the weights."""
    torch.save(SlimmableNetwork(SlimEncoder(), CHANNELS).state_dict(), tmp_path / "model.pt")
    with pytest.raises(ModelError, match=r"model\.pt: not the weights of this SlimmableNetwork: .* missing"):
        ensemble(tmp_path)
