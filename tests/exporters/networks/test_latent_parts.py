"""What runs alone computes what it computed inside of the trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from exporters.networks.channel_slimmable import WIDTHS, SlimEncoder
from exporters.networks.efficientnet_lite import Halves, efficientnet_lite
from exporters.networks.ensemble import CHANNELS, MEMBERS, EnsembleEncoder
from exporters.networks.latent import Decoder
from exporters.networks.latent_parts import LatentClassifier, at_width, member

if TYPE_CHECKING:
    from torch import nn

SIZE = 32


@pytest.fixture
def images() -> torch.Tensor:
    """Two small pictures of noise."""
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_members_add_up(images: torch.Tensor) -> None:
    """With what each counts, one after the other, to the ensemble's latents."""
    encoder = _trained(EnsembleEncoder())
    with torch.no_grad():
        parts = torch.stack([member(encoder, number)(images) for number in range(1, MEMBERS + 1)])
        for sent, wanted in zip(parts.cumsum(0), encoder(images), strict=True):
            torch.testing.assert_close(sent, wanted)


@pytest.mark.parametrize("number", range(1, WIDTHS + 1))
def test_each_width_is_a_network_of_its_own(images: torch.Tensor, number: int) -> None:
    """It gives the same latent, as wide as all, from its share of the weights."""
    encoder = _trained(SlimEncoder())
    plain = at_width(encoder, number)
    with torch.no_grad():
        latent = plain(images)
        torch.testing.assert_close(latent, encoder.at_width(images, number))
    assert latent.shape == (2, CHANNELS, SIZE // 8, SIZE // 8)
    matrices = [sum(one.numel() for one in network.parameters() if one.ndim == 4) for network in (plain, encoder)]
    share = number / WIDTHS
    assert share**2 * matrices[1] <= matrices[0] <= share * matrices[1]


def test_classifier_needs_no_block_that_the_decoder_stands_in_for() -> None:
    """It answers as decoder, tail and classifier do one after the other, and leaves their network as it was."""
    decoder, network = _trained(Decoder(CHANNELS)), efficientnet_lite(0, (1, 2, 3)).eval()
    latent = torch.randn(2, CHANNELS, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(0))
    before = sum(one.numel() for one in network.parameters())
    classifier = LatentClassifier(decoder, network).eval()
    whole = Halves(network)
    with torch.no_grad():
        torch.testing.assert_close(classifier(latent), whole.classify(whole.tail(decoder(latent))[-1]))
    unused = [network._conv_stem, network._bn0, *network._blocks[: Halves.FIRST]]
    unused_parameters = sum(one.numel() for module in unused for one in module.parameters())
    own = sum(one.numel() for one in decoder.parameters())
    assert sum(one.numel() for one in classifier.parameters()) == before + own - unused_parameters
    assert sum(one.numel() for one in network.parameters()) == before


def _trained(network: nn.Module) -> nn.Module:
    """The network with statistics and scales that are no longer those of its start."""
    for value in network.state_dict().values():
        if value.is_floating_point() and value.ndim == 1:
            value.copy_(torch.rand(len(value), generator=torch.Generator().manual_seed(len(value))) + 0.5)
    return network.eval()
