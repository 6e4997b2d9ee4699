"""Each recipe makes one real training step on its real network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from exporters.networks.channel_slimmable import SlimEncoder
from exporters.networks.ensemble import CHANNELS, EnsembleEncoder
from exporters.networks.mae import MaeConfig
from exporters.training.patch_tolerant import PatchTolerant, keep_mask
from exporters.training.photos import Photos, load_photos
from exporters.training.slimmable import Slimmable

if TYPE_CHECKING:
    from pathlib import Path

    from exporters.training.loop import Recipe


@pytest.fixture(scope="module")
def photos(photo_folder: Path) -> Photos:
    """Two photos at 224 pixels."""
    return load_photos(photo_folder, 224, limit=2)


def _step(recipe: Recipe, photos: Photos, progress: float = 0.5) -> None:
    loss = recipe.loss(photos.pixels, photos.labels, torch.Generator().manual_seed(0), progress)
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)
    assert any(parameter.grad is not None for parameter in recipe.model.parameters())


def _evaluate(recipe: Recipe, photos: Photos) -> None:
    with torch.no_grad():
        figures = recipe.evaluate(recipe.model.eval(), photos)
    assert all(0 <= value <= 1 for value in figures.values())


def test_edge_vit_steps(photos: Photos) -> None:
    """Labels alone teach the hybrid."""
    from exporters.training.edge_vit import EdgeVit

    recipe = EdgeVit(3)
    _step(recipe, photos)
    _evaluate(recipe, photos)


def test_edge_vit_learns_where_a_teacher_looks(photos: Photos, deit_weights: Path) -> None:
    """With a teacher the class token's query and keys of the last layer have gradients of their own."""
    from exporters.training.edge_vit import EdgeVit

    torch.manual_seed(0)
    alone, taught = EdgeVit(3), EdgeVit(3, deit_weights)
    taught.model.load_state_dict(alone.model.state_dict())
    for recipe in (alone, taught):
        _step(recipe, photos)
    grads = [recipe.model.blocks[-1].attn.qkv.weight.grad for recipe in (alone, taught)]
    assert not torch.allclose(*grads)


def test_server_vit_steps(photos: Photos, deit_weights: Path) -> None:
    """Both parts of the distillation, block by block and end to end, have gradients."""
    from exporters.training.server_vit import ServerVit

    recipe = ServerVit((0, 217, 482), deit_weights)
    _step(recipe, photos, progress=0.1)
    _step(recipe, photos, progress=0.9)
    _evaluate(recipe, photos)


def test_recovery_steps_and_reports_decibels(photos: Photos) -> None:
    """The autoencoder learns from hidden patches; its figures are peak signal-to-noise ratios."""
    from exporters.training.recovery import Recovery

    recipe = Recovery(MaeConfig(width=24, depth=1, heads=1, decoder_width=16, decoder_depth=1, decoder_heads=1))
    _step(recipe, photos)
    with torch.no_grad():
        figures = recipe.evaluate(recipe.model.eval(), photos)
    assert list(figures) == ["psnr_at_0.1", "psnr_at_0.25", "psnr_at_0.5"]
    assert all(0 < value < 40 for value in figures.values())


def test_relu_resnet_steps_at_every_size(photos: Photos) -> None:
    """Small pictures first, whole ones last; the layer towards the teacher learns too but is no part of the network."""
    from exporters.training.relu_resnet import ReluResnet

    recipe = ReluResnet(3)
    for progress in (0.1, 0.7, 0.9):
        _step(recipe, photos, progress)
    assert recipe.model.to_teacher.weight.grad is not None
    _evaluate(recipe, photos)


def test_patch_tolerance_learns_without_touching_statistics(photos: Photos) -> None:
    """One's own network trains with its batch-norm statistics frozen, and its saved keys are its own."""
    network = nn.Sequential(nn.Conv2d(3, 4, 16, 16), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    recipe = PatchTolerant(network.train(), (127.0,) * 3, (128.0,) * 3)
    before = network[1].running_mean.clone()
    _step(recipe, photos)
    _evaluate(recipe, photos)
    assert torch.equal(network[1].running_mean, before)
    assert list(recipe.model.state_dict()) == list(network.state_dict())


@pytest.mark.parametrize("encoder", [EnsembleEncoder, SlimEncoder])
def test_slimmable_encoders_learn_before_their_decoder_does_alone(
    photos: Photos, encoder: type[EnsembleEncoder] | type[SlimEncoder]
) -> None:
    """On parts of pictures, on whole ones, and at last with the encoder and its statistics as they are."""
    recipe = Slimmable(encoder(), CHANNELS)
    for progress in (0.1, 0.6):
        _step(recipe, photos, progress)
        assert all(parameter.grad is not None for parameter in recipe.model.decoder.parameters())
    assert recipe.model.encoder.get_parameter("norm.weight" if encoder is SlimEncoder else "weights").grad is not None
    before = {name: value.clone() for name, value in recipe.model.encoder.state_dict().items()}
    recipe.model.zero_grad(set_to_none=True)
    _step(recipe, photos, 0.9)
    assert all(parameter.grad is None for parameter in recipe.model.encoder.parameters())
    assert all(torch.equal(value, before[name]) for name, value in recipe.model.encoder.state_dict().items())
    _evaluate(recipe, photos)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.0])
def test_mask_keeps_the_share_asked_for(ratio: float) -> None:
    """Whole patches are kept or dropped, as many as the ratio says."""
    mask = keep_mask(torch.zeros(4, 3, 64, 64), torch.full((4,), ratio), 16, torch.Generator().manual_seed(0))
    assert mask.mean((1, 2, 3)).tolist() == [ratio] * 4
    blocks = mask.unfold(2, 16, 16).unfold(3, 16, 16)
    assert torch.equal(blocks.amin((-1, -2)), blocks.amax((-1, -2)))
