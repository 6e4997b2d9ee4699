"""The classifier whose second look is light."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from exporters.networks.efficientnet_lite import efficientnet_lite
from exporters.networks.mae import to_patches
from exporters.networks.two_round_vit import TwoRoundVit
from exporters.networks.vit import VitConfig


@pytest.fixture(scope="module")
def network() -> TwoRoundVit:
    """Sixteen patches, three layers."""
    torch.manual_seed(0)
    config = VitConfig(image_size=64, width=24, depth=3, heads=2, classes=5)
    network = TwoRoundVit(config, efficientnet_lite(0, range(5)))
    for parameter in network.vit.parameters():
        torch.nn.init.normal_(parameter, std=0.2)  # or attention would be flat
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pictures() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A batch of two pictures and what is visible of them; the same after the upper two rows of patches arrived."""
    torch.manual_seed(1)
    before = torch.randn(2, 3, 64, 64)
    after = before.clone()
    after[:, :, :32] += torch.randn(2, 3, 32, 64)
    hidden = torch.arange(16).expand(2, -1) < 8
    return before, (~hidden).float(), after, torch.ones(2, 16)


Pictures = tuple[Tensor, Tensor, Tensor, Tensor]


def test_first_look_reports_attention_and_states(network: TwoRoundVit, pictures: Pictures) -> None:
    """Attention sums to one over class token and patches; states hold keys and values of every layer."""
    logits, attention, states = network.first(*pictures[:2])
    assert logits.shape == (2, 5)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 2))
    assert states.shape == (2, 3, 2, 2, 17, 12)
    assert torch.equal(network(*pictures[:2]), logits)


def test_update_of_every_patch_is_exact(network: TwoRoundVit, pictures: Pictures) -> None:
    """With all patches listed nothing is stale: the logits are those of a first look."""
    states = network.first(*pictures[:2])[2]
    everything = torch.arange(16).expand(2, -1)
    torch.testing.assert_close(network.update(*pictures[2:], states, everything), network(*pictures[2:]))


def test_update_of_what_arrived_is_close(network: TwoRoundVit, pictures: Pictures) -> None:
    """Listing the new patches alone comes closer to the full answer than the first one was."""
    logits, _, states = network.first(*pictures[:2])
    wanted = network(*pictures[2:])
    light = network.update(*pictures[2:], states, torch.arange(8).expand(2, -1))
    assert (light - wanted).norm() < (logits - wanted).norm()


def test_nothing_changed_changes_nothing(network: TwoRoundVit, pictures: Pictures) -> None:
    """An update with the same picture gives the same logits, whichever visible patches are listed."""
    logits, _, states = network.first(*pictures[:2])
    positions = torch.tensor([[9, 12], [8, 15]])
    torch.testing.assert_close(network.update(*pictures[:2], states, positions), logits)


def test_recovered_pixels_ask_but_do_not_testify(network: TwoRoundVit, pictures: Pictures) -> None:
    """What was recovered changes the attention, never the logits."""
    image, visible = pictures[:2]
    other = image.clone()
    other[:, :, :32] = 0
    logits, attention, _ = network.first(image, visible)
    others, elsewhere, _ = network.first(other, visible)
    torch.testing.assert_close(others, logits)
    assert (elsewhere - attention).abs().max() > 1e-3


def test_both_networks_see_what_arrived_as_they_do_alone(network: TwoRoundVit, pictures: Pictures) -> None:
    """The product of the trunk's probabilities, grey elsewhere, and of the ViT's from a subset of tokens."""
    image, visible = pictures[:2]
    hidden = image.clone()
    hidden[:, :, :32] = 0
    positions = torch.arange(8, 16).expand(2, -1)
    patches = to_patches(image * network.scale + network.shift, 16)[:, 8:]
    alone = network.trunk(hidden).log_softmax(-1) + network.vit.forward_tokens(patches, positions).log_softmax(-1)
    torch.testing.assert_close(network(image, visible), alone)
