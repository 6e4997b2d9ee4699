"""DeiT-shaped vision transformer (Touvron et al. 2021) that also reads its own attention and token subsets.

Module names are the official DeiT/timm ones, so such a checkpoint loads strictly. Two readings of the same weights:

- the device looks at a whole image and reports where its class token looked: ``forward_with_attention``;
- the server answers from whichever patches arrived: ``forward_tokens`` (attention-aware paper: position embeddings are
  added before the subset is gathered, no mask token).
"""

# mypy: disable-error-code="no-any-return, no-untyped-call"
# torch does not type what calling a module returns.

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""DeiT's normalisation, in 0..255 units."""


@dataclass(frozen=True)
class VitConfig:
    """Shape of a ViT; the defaults are DeiT-Tiny's."""

    image_size: int = 224
    patch: int = 16
    width: int = 192
    depth: int = 12
    heads: int = 3
    classes: int = 1000

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x [B, T, width]`` to the same shape, without forming the attention matrix."""
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(batch, tokens, width))

    def with_matrix(self, x: Tensor, queries: int) -> tuple[Tensor, Tensor]:
        """Attend from the first ``queries`` tokens only; returns ``[B, queries, width]``, ``[B, heads, queries, T]``.

        ``queries = 1`` is the class token: all that a last block needs.
        """
        batch, tokens, width = x.shape
        head = width // self.heads
        weight_q, weight_kv = self.qkv.weight.split([width, 2 * width])
        bias_q, bias_kv = self.qkv.bias.split([width, 2 * width])
        q = F.linear(x[:, :queries], weight_q, bias_q).reshape(batch, queries, self.heads, head).transpose(1, 2)
        k, v = (
            F.linear(x, weight_kv, bias_kv).reshape(batch, tokens, 2, self.heads, head).permute(2, 0, 3, 1, 4).unbind(0)
        )
        matrix = ((q * head**-0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((matrix @ v).transpose(1, 2).reshape(batch, queries, width)), matrix


class Mlp(nn.Module):
    """Two-layer perceptron with exact GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., width]`` to the same shape."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, T, width]`` to the same shape."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def with_matrix(self, x: Tensor, queries: int) -> tuple[Tensor, Tensor]:
        """As ``forward``, for the first ``queries`` tokens only, with their attention ``[B, heads, queries, T]``."""
        attended, matrix = self.attn.with_matrix(self.norm1(x), queries)
        x = x[:, :queries] + attended
        return x + self.mlp(self.norm2(x)), matrix


def attend(blocks: nn.ModuleList, x: Tensor, *, all_layers: bool) -> tuple[Tensor, Tensor]:
    """Run ``blocks`` and return the class token ``[B, width]`` with the attention an edge model reports.

    The last layer's class row, ``[B, heads, T]``; or with ``all_layers`` every matrix, ``[B, layers, heads, T, T]``,
    which rollout needs. In the first case the last block computes nothing but the class token.
    """
    layers = cast("list[Block]", list(blocks))
    *first, last = layers
    if not all_layers:
        for block in first:
            x = block(x)
        x, matrix = last.with_matrix(x, queries=1)
        return x[:, 0], matrix[:, :, 0]
    matrices = []
    for block in layers:
        x, matrix = block.with_matrix(x, queries=x.shape[1])
        matrices.append(matrix)
    return x[:, 0], torch.stack(matrices, dim=1)


class PatchEmbed(nn.Module):
    """Non-overlapping patches to tokens: a convolution whose kernel is its stride."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.width, config.patch, config.patch)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised ``images [B, 3, H, W]`` to tokens ``[B, N, width]``."""
        return self.proj(images).flatten(2).transpose(1, 2)

    def flat(self, patches: Tensor) -> Tensor:
        """Map ``patches [B, N, 3 * patch**2]``, channel-major, to the same tokens."""
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class VisionTransformer(nn.Module):
    """Plain ViT classifier with a class token and learned positions."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, config.classes)
        initialise(self)

    def tokens(self, images: Tensor) -> Tensor:
        """Class token and all patch tokens with their positions, ``[B, 1 + N, width]``."""
        x = self.patch_embed(images) + self.pos_embed[:, 1:]
        return torch.cat([(self.cls_token + self.pos_embed[:, :1]).expand(x.shape[0], -1, -1), x], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised ``images [B, 3, H, W]``."""
        x = self.tokens(images)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))

    def forward_with_attention(self, images: Tensor, *, all_layers: bool = False) -> tuple[Tensor, Tensor]:
        """Logits ``[B, classes]`` and the attention described in ``attend``."""
        x, attention = attend(self.blocks, self.tokens(images), all_layers=all_layers)
        return self.head(self.norm(x)), attention

    def forward_tokens(self, patches: Tensor, positions: Tensor) -> Tensor:
        """Logits ``[B, classes]`` from a subset of patches.

        ``patches`` is ``[B, N, 3 * patch**2]``, channel-major normalised pixels; ``positions`` int64 ``[B, N]`` holds
        each patch's 0-based raster index in the grid.
        """
        x = self.patch_embed.flat(patches) + self.pos_embed[0, 1:][positions]
        x = torch.cat([(self.cls_token + self.pos_embed[:, :1]).expand(x.shape[0], -1, -1), x], dim=1)
        for block in self.blocks[:-1]:
            x = block(x)
        x, _ = cast("Block", self.blocks[-1]).with_matrix(x, queries=1)
        return self.head(self.norm(x[:, 0]))


def initialise(model: nn.Module) -> None:
    """Truncated-normal weights (std 0.02), zero biases: the ViT habit."""
    for name, parameter in model.named_parameters():
        if name.endswith(("cls_token", "pos_embed")) or (parameter.ndim >= 2 and "norm" not in name):
            nn.init.trunc_normal_(parameter, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
