"""Between encoder and decoder: the quantiser that learns its steps, and the decoder into EfficientNet-Lite0."""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = (2, 3, 4, 6, 8, 12, 16)
"""Values that an entry of the latent can take: 1 to 4 bits, by halves."""

FIRST_STEPS = (1.596, 1.224, 0.996, 0.733, 0.586, 0.424, 0.335)
"""The uniform steps that lose least of a normal variable, for each of ``LEVELS`` (Max, 1960)."""


class Quantiser(nn.Module):
    """A uniform quantiser for every channel and number of levels, symmetric about zero.

    Steps are learned (LSQ, arXiv 1902.08153); the gradient passes as if nothing were rounded.
    """

    def __init__(self, channels: int, levels: tuple[int, ...] = LEVELS) -> None:
        super().__init__()
        self.levels = levels
        first = [FIRST_STEPS[LEVELS.index(count)] for count in levels]
        self.log_steps = nn.Parameter(torch.tensor(first).log()[:, None].repeat(1, channels))

    def steps(self, levels: int) -> Tensor:
        """Step of every channel ``[C]``."""
        return self.log_steps[self.levels.index(levels)].exp()

    def forward(self, latent: Tensor, levels: int) -> Tensor:
        """The values ``[B, C, H, W]`` that the decoder will see."""
        step = self.steps(levels)[:, None, None]
        half = levels / 2
        inside = (latent.float() / step).clamp(-half, half)
        middle = torch.floor(inside + half).clamp(0, levels - 1) - (levels - 1) / 2
        return (inside + (middle - inside).detach()) * step


class Residual(nn.Module):
    """Two full 3×3 convolutions around which the input is led."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to the same shape."""
        return F.relu(x + self.second_norm(self.second(F.relu(self.first_norm(self.first(x))))))


class Decoder(nn.Module):
    """From a latent ``[B, 12, 28, 28]`` to what EfficientNet-Lite0 has after its fifth block, ``[B, 40, 28, 28]``."""

    OUT = 40

    def __init__(self, channels: int, width: int = 64, depth: int = 3) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(depth)))
        self.leave = nn.Conv2d(width, self.OUT, 1)

    def forward(self, latent: Tensor) -> Tensor:
        """The features."""
        return self.leave(self.blocks(F.relu(self.norm(self.enter(latent)))))


class SlimmableNetwork(nn.Module):
    """What is trained: a family's ``encoder``, which gives the latents of all its numbers of encoders, and the rest."""

    def __init__(self, encoder: nn.Module, channels: int) -> None:
        super().__init__()
        self.encoder, self.quantiser, self.decoder = encoder, Quantiser(channels), Decoder(channels)

    def latents(self, images: Tensor) -> list[Tensor]:
        """Latents ``[B, C, H, W]`` before quantising, from the least work to the most."""
        return self.encoder(images)

    def features(self, latent: Tensor, levels: int) -> Tensor:
        """What the decoder makes of a latent that was sent with so many levels."""
        return self.decoder(self.quantiser(latent, levels))
