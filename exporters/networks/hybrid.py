"""A light ViT with a convolutional stem: the zoo's edge model.

Convolutions see edges and textures for a fraction of what attention would pay; two or three transformer layers then
give a class token whose attention says which patches mattered. The token grid is a plain ViT's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from exporters.networks.efficientnet_lite import LiteStem
from exporters.networks.vit import Block, attend, initialise


@dataclass(frozen=True)
class HybridConfig:
    """Shape of the transformer part; the stem is fixed."""

    image_size: int = 224
    width: int = 96
    depth: int = 3
    heads: int = 3
    classes: int = 10

    @property
    def grid(self) -> int:
        """Patches along one side; the stem divides by 16."""
        return self.image_size // 16


class HybridVit(nn.Module):
    """Stem, class token, learned positions, transformer blocks, linear head."""

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Conv2d(LiteStem.CHANNELS, config.width, 1)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid**2, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, config.classes)
        initialise(self)
        self.stem = LiteStem()  # after initialise(): it brings its own weights

    def forward_with_attention(self, images: Tensor, *, all_layers: bool = False) -> tuple[Tensor, Tensor]:
        """Logits ``[B, classes]`` of ``images [B, 3, H, W]`` and the attention described in ``vit.attend``."""
        x = self.embed(self.stem(images)).flatten(2).transpose(1, 2) + self.pos_embed
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        x, attention = attend(self.blocks, x, all_layers=all_layers)
        return self.head(self.norm(x)), attention

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of ``images [B, 3, H, W]``."""
        return self.forward_with_attention(images)[0]
