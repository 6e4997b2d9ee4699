"""A ViT beside a convolutional network whose second look at a picture costs a fraction of its first.

The trunk is an EfficientNet-Lite0 that learnt to miss patches. It sees what arrived and nothing else; its features at
1/16 and 1/32 of the picture, with the pixels of the recovered picture, make the tokens of a plain ViT, which corrects
the trunk's own logits. The first pass keeps keys and values of every layer. When more patches arrive, the second pass
computes queries, keys and values of the class token and those patches' tokens alone and takes all other keys and
values from the first pass, where they are a little stale: variant L1 of the notes (reconstruction). It is exact when
every patch is listed. The trunk always runs over the whole picture: convolutions are cheap on a server, and so a new
patch's token knows its neighbours.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from exporters.networks.efficientnet_lite import LiteTrunk, efficientnet_lite
from exporters.networks.mae import to_patches
from exporters.networks.vit import Block, initialise

PATCH = 16
"""What the trunk divides by, in pixels."""


@dataclass(frozen=True)
class TwoRoundConfig:
    """Shape of the transformer part; the trunk is fixed."""

    image_size: int = 224
    width: int = 192
    depth: int = 3
    heads: int = 3
    classes: int = 10

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // PATCH


class TwoRoundVit(nn.Module):
    """Trunk, class token, learned positions, transformer blocks, linear head.

    Without a ``trunk`` it is one with random logits on ImageNet's features.
    """

    def __init__(self, config: TwoRoundConfig, trunk: LiteTrunk | None = None) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(LiteTrunk.CHANNELS, config.width)
        self.embed_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.embed_pixels = nn.Linear(3 * PATCH**2, config.width)
        self.arrived = nn.Parameter(torch.zeros(config.width))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid**2, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, config.classes)
        initialise(self)
        nn.init.zeros_(self.head.weight)  # so that the trunk's logits are where training starts
        self.trunk = trunk or _untrained_trunk(config.classes)  # after initialise(): it brings its own weights

    def forward(self, images: Tensor, visible: Tensor) -> Tensor:
        """Logits ``[B, classes]``; arguments as in `first`."""
        return self.first(images, visible)[0]

    def first(self, images: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits ``[B, classes]``, the last layer's class row ``[B, heads, T]``, keys and values of every layer.

        ``images [B, 3, H, W]`` are normalised and recovered where ``visible`` float32 ``[B, grid²]`` is 0; it is 1
        where a patch arrived. States are ``[B, layers, 2, heads, T, width / heads]``; token 0 is the class token's.
        """
        x, logits = self._tokens(images, visible)
        states = []
        for block in self._layers[:-1]:
            q, k, v = _project(block, x)
            x = _finish(block, x, _weights(q, k) @ v)
            states.append(torch.stack([k, v], dim=1))
        q, k, v = _project(self._layers[-1], x)
        states.append(torch.stack([k, v], dim=1))
        weights = _weights(q[:, :, :1], k)
        x = _finish(self._layers[-1], x[:, :1], weights @ v)
        return logits + self.head(self.norm(x[:, 0])), weights[:, :, 0], torch.stack(states, dim=1)

    def update(self, images: Tensor, visible: Tensor, states: Tensor, positions: Tensor) -> Tensor:
        """Logits ``[B, classes]`` after the patches at raster indices ``positions`` int64 ``[B, D]`` have arrived.

        ``images`` and ``visible`` are as they are now, ``states`` what `first` gave for them before.
        """
        changed = torch.cat([torch.zeros_like(positions[:, :1]), positions + 1], dim=1)
        x, logits = self._tokens(images, visible)
        x = x.gather(1, changed.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        rows = changed[:, None, :, None].expand(-1, states.shape[3], -1, states.shape[5])
        for layer, block in enumerate(self._layers):
            q, k, v = _project(block, x)
            k = states[:, layer, 0].scatter(2, rows, k)
            v = states[:, layer, 1].scatter(2, rows, v)
            if layer == self.config.depth - 1:
                q, x = q[:, :, :1], x[:, :1]
            x = _finish(block, x, _weights(q, k) @ v)
        return logits + self.head(self.norm(x[:, 0]))

    @property
    def _layers(self) -> list[Block]:
        return cast("list[Block]", list(self.blocks))

    def _tokens(self, images: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Class token and patch tokens with their positions, ``[B, 1 + N, width]``, and the trunk's logits."""
        shown = visible.unflatten(1, (self.config.grid, self.config.grid)).unsqueeze(1)
        features, logits = self.trunk(images * shown.repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3))
        x = self.embed_norm(self.embed(features)) + self.embed_pixels(to_patches(images, PATCH))
        x = x + visible.unsqueeze(-1) * self.arrived + self.pos_embed
        return torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1), logits


def _untrained_trunk(classes: int) -> LiteTrunk:
    lite = efficientnet_lite(0)
    lite._fc = nn.Linear(lite._fc.in_features, classes)
    return LiteTrunk(lite)


def _project(block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of tokens ``x [B, T, width]``, each ``[B, heads, T, width / heads]``."""
    batch, tokens, _ = x.shape
    qkv = block.attn.qkv(block.norm1(x)).reshape(batch, tokens, 3, block.attn.heads, -1)
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    return q, k, v


def _weights(q: Tensor, k: Tensor) -> Tensor:
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1)


def _finish(block: Block, x: Tensor, attended: Tensor) -> Tensor:
    """The rest of a block for tokens ``x [B, Q, width]``, given what they attended to, ``[B, heads, Q, ·]``."""
    x = x + block.attn.proj(attended.transpose(1, 2).flatten(2))
    return x + block.mlp(block.norm2(x))
