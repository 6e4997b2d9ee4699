"""A ViT on a convolutional trunk whose second look at a picture costs a fraction of its first.

The trunk is EfficientNet-Lite0, whole: its features at 1/16 of the picture, and at 1/32 where every vector stands for
2 × 2 tokens, make a plain ViT's token grid. The first pass keeps keys and values of every layer. When some patches
change, the second pass computes queries, keys and values of the class token and those patches' tokens alone and takes
all other keys and values from the first pass, where they are a little stale: variant L1 of the notes (reconstruction).
It is exact when every patch is listed. The trunk always runs over the whole picture: convolutions are cheap on a
server, and so a changed patch's token knows its neighbours.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from exporters.networks.efficientnet_lite import LiteTrunk
from exporters.networks.vit import Block, initialise


@dataclass(frozen=True)
class TwoRoundConfig:
    """Shape of the transformer part; the trunk is fixed."""

    image_size: int = 224
    width: int = 192
    depth: int = 4
    heads: int = 3
    classes: int = 10

    @property
    def grid(self) -> int:
        """Patches along one side; the trunk divides by 16."""
        return self.image_size // 16


class TwoRoundVit(nn.Module):
    """Trunk, class token, learned positions, transformer blocks, linear head."""

    def __init__(self, config: TwoRoundConfig, trunk: LiteTrunk | None = None) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(LiteTrunk.CHANNELS, config.width)
        self.embed_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid**2, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, config.classes)
        initialise(self)
        self.trunk = trunk or LiteTrunk()  # after initialise(): it brings its own weights

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised ``images [B, 3, H, W]``."""
        return self.first(images)[0]

    def first(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits ``[B, classes]``, the last layer's class row ``[B, heads, T]``, keys and values of every layer.

        These states are ``[B, layers, 2, heads, T, width / heads]``; token 0 is the class token's.
        """
        x = self._tokens(images)
        states = []
        for block in self._layers[:-1]:
            q, k, v = _project(block, x)
            x = _finish(block, x, _weights(q, k) @ v)
            states.append(torch.stack([k, v], dim=1))
        q, k, v = _project(self._layers[-1], x)
        states.append(torch.stack([k, v], dim=1))
        weights = _weights(q[:, :, :1], k)
        x = _finish(self._layers[-1], x[:, :1], weights @ v)
        return self.head(self.norm(x[:, 0])), weights[:, :, 0], torch.stack(states, dim=1)

    def update(self, images: Tensor, states: Tensor, positions: Tensor) -> Tensor:
        """Logits ``[B, classes]`` after the patches at raster indices ``positions`` int64 ``[B, D]`` have changed.

        ``images`` is the whole picture as it is now, ``states`` what `first` gave for it before.
        """
        changed = torch.cat([torch.zeros_like(positions[:, :1]), positions + 1], dim=1)
        x = self._tokens(images)
        x = x.gather(1, changed.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        rows = changed[:, None, :, None].expand(-1, states.shape[3], -1, states.shape[5])
        for layer, block in enumerate(self._layers):
            q, k, v = _project(block, x)
            k = states[:, layer, 0].scatter(2, rows, k)
            v = states[:, layer, 1].scatter(2, rows, v)
            if layer == self.config.depth - 1:
                q, x = q[:, :, :1], x[:, :1]
            x = _finish(block, x, _weights(q, k) @ v)
        return self.head(self.norm(x[:, 0]))

    @property
    def _layers(self) -> list[Block]:
        return cast("list[Block]", list(self.blocks))

    def _tokens(self, images: Tensor) -> Tensor:
        """Class token and patch tokens with their positions, ``[B, 1 + N, width]``."""
        x = self.embed_norm(self.embed(self.trunk(images))) + self.pos_embed
        return torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)


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
