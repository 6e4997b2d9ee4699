"""What of a trained slimmable network runs alone: one encoder on the device, decoder and classifier on the server."""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from exporters.networks.channel_slimmable import WIDTHS
from exporters.networks.efficientnet_lite import Halves
from exporters.networks.ensemble import CHANNELS, FusedBottleneck

if TYPE_CHECKING:
    from efficientnet_lite_pytorch import EfficientNet

    from exporters.networks.channel_slimmable import (
        SlimBatchNorm,
        SlimBottleneck,
        SlimConv,
        SlimEncoder,
        SlimInstanceNorm,
    )
    from exporters.networks.ensemble import EnsembleEncoder, Member


@torch.no_grad()
def member(encoder: EnsembleEncoder, number: int) -> nn.Module:
    """The ``number``-th member, from 1, with what it counts: its part of the sum."""
    part: Member = copy.deepcopy(encoder.members[number - 1])  # type: ignore[assignment]
    norm: nn.BatchNorm2d = part.blocks[-1].project_norm  # type: ignore[assignment]
    # Nothing follows this norm, so the weight costs nothing there.
    norm.weight.mul_(encoder.weights[number - 1])
    norm.bias.mul_(encoder.weights[number - 1])
    return part.eval()


@torch.no_grad()
def at_width(encoder: SlimEncoder, number: int) -> nn.Module:
    """The encoder at one width, 1 to ``WIDTHS``, as a network of its own that holds only the weights of that width."""
    layers: list[nn.Module] = [_convolution(encoder.stem, number, channels=3), _batch_norm(encoder.norm, number)]
    layers += [nn.ReLU(), *(_bottleneck(block, number) for block in encoder.blocks)]  # type: ignore[arg-type]
    if missing := CHANNELS - CHANNELS * number // WIDTHS:
        layers.append(nn.ZeroPad3d((0, 0, 0, 0, 0, missing)))
    return nn.Sequential(*layers).eval()


def _bottleneck(block: SlimBottleneck, number: int) -> FusedBottleneck:
    expand, project = _convolution(block.expand, number), _convolution(block.project, number)
    plain = FusedBottleneck(expand.in_channels, project.out_channels, block.expand.stride)
    plain.expand, plain.norm = expand, _instance_norm(block.norm, number)
    plain.excite.squeeze, plain.excite.excite = _convolution(block.squeeze, number), _convolution(block.excite, number)
    plain.project, plain.project_norm = project, _batch_norm(block.project_norm, number)
    plain.skips = block.skips
    return plain


def _convolution(layer: SlimConv, number: int, channels: int | None = None) -> nn.Conv2d:
    """With all of its ``channels`` if they are given, else with that width's share of them."""
    out, inputs = (side * number // WIDTHS for side in layer.weight.shape[:2])
    weight = layer.weight[:out, : channels or inputs]
    plain = nn.Conv2d(weight.shape[1], out, weight.shape[2], layer.stride, layer.padding, bias=False)
    plain.weight.copy_(weight)
    return plain


def _batch_norm(layer: SlimBatchNorm, number: int) -> nn.BatchNorm2d:
    plain: nn.BatchNorm2d = copy.deepcopy(layer.norms[number - 1])  # type: ignore[assignment]
    plain.affine = True
    plain.weight = nn.Parameter(layer.weight[: plain.num_features].clone())
    plain.bias = nn.Parameter(layer.bias[: plain.num_features].clone())
    return plain


def _instance_norm(layer: SlimInstanceNorm, number: int) -> nn.InstanceNorm2d:
    plain = nn.InstanceNorm2d(len(layer.weight) * number // WIDTHS, affine=True)
    plain.weight.copy_(layer.weight[: plain.num_features])
    plain.bias.copy_(layer.bias[: plain.num_features])
    return plain


class LatentClassifier(nn.Module):
    """Latents as they were sent ``[B, 12, h, w]`` to logits: the decoder, then EfficientNet-Lite0 from there."""

    def __init__(self, decoder: nn.Module, network: EfficientNet) -> None:
        super().__init__()
        rest = copy.deepcopy(network)
        # The decoder stands in for these.
        rest._conv_stem = rest._bn0 = nn.Identity()
        for place in range(Halves.FIRST):
            rest._blocks[place] = nn.Identity()
        self.decoder, self.halves = decoder, Halves(rest)

    def forward(self, latent: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        return self.halves.classify(self.halves.tail(self.decoder(latent))[-1])
