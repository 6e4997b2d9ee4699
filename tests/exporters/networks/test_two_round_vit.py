"""The classifier whose second look is light."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from exporters.networks.two_round_vit import TwoRoundConfig, TwoRoundVit


@pytest.fixture(scope="module")
def network() -> TwoRoundVit:
    """Sixteen patches, three layers."""
    torch.manual_seed(0)
    config = TwoRoundConfig(image_size=64, width=24, depth=3, heads=2, classes=5)
    return TwoRoundVit(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pictures() -> tuple[Tensor, Tensor]:
    """A batch of two pictures, and the same with the upper two rows of patches changed."""
    torch.manual_seed(1)
    before = torch.randn(2, 3, 64, 64)
    after = before.clone()
    after[:, :, :32] += torch.randn(2, 3, 32, 64)
    return before, after


def test_first_look_reports_attention_and_states(network: TwoRoundVit, pictures: tuple[Tensor, Tensor]) -> None:
    """Attention sums to one over class token and patches; states hold keys and values of every layer."""
    logits, attention, states = network.first(pictures[0])
    assert logits.shape == (2, 5)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 2))
    assert states.shape == (2, 3, 2, 2, 17, 12)
    assert torch.equal(network(pictures[0]), logits)


def test_update_of_every_patch_is_exact(network: TwoRoundVit, pictures: tuple[Tensor, Tensor]) -> None:
    """With all patches listed nothing is stale: the logits are those of a first look."""
    before, after = pictures
    states = network.first(before)[2]
    everything = torch.arange(16).expand(2, -1)
    torch.testing.assert_close(network.update(after, states, everything), network(after))


def test_update_of_what_changed_is_close(network: TwoRoundVit, pictures: tuple[Tensor, Tensor]) -> None:
    """Listing the changed patches alone comes closer to the full answer than the first one was."""
    before, after = pictures
    logits, _, states = network.first(before)
    wanted = network(after)
    light = network.update(after, states, torch.arange(8).expand(2, -1))
    assert (light - wanted).norm() < (logits - wanted).norm()


def test_nothing_changed_changes_nothing(network: TwoRoundVit, pictures: tuple[Tensor, Tensor]) -> None:
    """An update with the same picture gives the same logits, whichever patches are listed."""
    logits, _, states = network.first(pictures[0])
    torch.testing.assert_close(network.update(pictures[0], states, torch.tensor([[2, 9], [0, 15]])), logits)
