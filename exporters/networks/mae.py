"""Masked autoencoder that recovers a picture from some of its patches (He et al. 2022).

Encoder and decoder may have any size. Pixels are predicted as they are, not normalised per patch: such a prediction
could not be put back into a picture without the statistics of patches that never arrived. There is no class token,
since nothing is classified here, and the encoder sees visible patches alone, so that fewer of them cost less.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exporters.networks.vit import Block, initialise


@dataclass(frozen=True)
class MaeConfig:
    """Shape of the autoencoder; widths are multiples of four and of their heads."""

    image_size: int = 224
    patch: int = 16
    width: int = 192
    depth: int = 6
    heads: int = 3
    decoder_width: int = 128
    decoder_depth: int = 4
    decoder_heads: int = 4

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch


class MaskedAutoencoder(nn.Module):
    """Visible patches to all patches. Positions are fixed sines and cosines, the paper's."""

    def __init__(self, config: MaeConfig) -> None:
        super().__init__()
        self.config = config
        pixels = 3 * config.patch**2
        self.embed = nn.Linear(pixels, config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.decoder_embed = nn.Linear(config.width, config.decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(config.decoder_width))
        self.decoder_blocks = nn.ModuleList(
            Block(config.decoder_width, config.decoder_heads) for _ in range(config.decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(config.decoder_width, eps=1e-6)
        self.head = nn.Linear(config.decoder_width, pixels)
        initialise(self)
        nn.init.normal_(self.mask_token, std=0.02)
        self.positions: Tensor
        self.decoder_positions: Tensor
        self.register_buffer("positions", sine_positions(config.grid, config.width), persistent=False)
        self.register_buffer("decoder_positions", sine_positions(config.grid, config.decoder_width), persistent=False)

    def forward(self, patches: Tensor, positions: Tensor) -> Tensor:
        """All patches ``[B, grid², 3 p²]`` from the visible ``patches [B, N, 3 p²]``.

        Pixels are channel-major and normalised, going in and coming out. ``positions`` int64 ``[B, N]`` are raster
        indices, any number of them. Where a patch was visible, what comes out means nothing: nobody trained it.
        """
        x = self.embed(patches) + self.positions[positions]
        for block in self.blocks:
            x = block(x)
        x = self.decoder_embed(self.norm(x))
        where = positions.unsqueeze(-1).expand(-1, -1, x.shape[-1])
        x = self.mask_token.to(x.dtype).expand(x.shape[0], self.config.grid**2, -1).scatter(1, where, x)
        x = x + self.decoder_positions
        for block in self.decoder_blocks:
            x = block(x)
        return self.head(self.decoder_norm(x))


def sine_positions(grid: int, width: int) -> Tensor:
    """Two-dimensional sine-cosine positions ``[grid², width]``: half of the channels say the row, half the column."""
    frequencies = 10_000 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(grid, dtype=torch.float64).unsqueeze(1) * frequencies
    line = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = line.repeat_interleave(grid, 0), line.repeat(grid, 1)
    return torch.cat([rows, columns], dim=1).float()


def to_patches(images: Tensor, patch: int) -> Tensor:
    """Cut ``images [B, 3, S, S]`` into channel-major patches ``[B, grid², 3 p²]``, row by row."""
    return F.unfold(images, patch, stride=patch).transpose(1, 2)


def from_patches(patches: Tensor, patch: int) -> Tensor:
    """Put all patches ``[B, grid², 3 p²]`` back together: ``[B, 3, S, S]``."""
    side = round(patches.shape[1] ** 0.5) * patch
    return F.fold(patches.transpose(1, 2), (side, side), patch, stride=patch)
