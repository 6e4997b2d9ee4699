"""The ensemble encoder: up to four tiny networks of one shape whose outputs add up to one latent.

After Assine, Santos Filho, Valle and Levorato (arXiv 2306.12691): a stem, then fused inverted bottlenecks with instance
norm and squeeze-and-excitation; member i counts 2^-i at first, here learned from there. What is ours: the picture is
divided by eight where theirs is by four, ReLU for swish, and batch norm, which costs nothing once it is folded, where a
projection ends: four members shall cost no more than a quarter of EfficientNet-Lite0.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEMBERS = 4
CHANNELS = 12
STRIDE = 8
WIDTH = 16


class SqueezeExcite(nn.Module):
    """Weigh channels by what the whole map holds."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to the same shape."""
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))


class FusedBottleneck(nn.Module):
    """Full 3×3 convolution to twice the channels, instance norm, squeeze-and-excitation, projection."""

    EXPANSION = 2
    SQUEEZED = 4

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        wide = self.EXPANSION * channels
        self.expand = nn.Conv2d(channels, wide, 3, stride, 1, bias=False)
        self.norm = nn.InstanceNorm2d(wide, affine=True)
        self.excite = SqueezeExcite(wide, self.SQUEEZED)
        self.project = nn.Conv2d(wide, out, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(out)
        self.skips = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, out, H / stride, W / stride]``."""
        y = self.project_norm(self.project(self.excite(F.relu(self.norm(self.expand(x))))))
        return x + y if self.skips else y


class Member(nn.Module):
    """One encoder: normalised pictures ``[B, 3, S, S]`` to its part of the latent ``[B, 12, S / 8, S / 8]``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 4, 4, bias=False)
        self.norm = nn.BatchNorm2d(WIDTH)
        self.blocks = nn.Sequential(
            FusedBottleneck(WIDTH, WIDTH, stride=2), FusedBottleneck(WIDTH, WIDTH), FusedBottleneck(WIDTH, CHANNELS)
        )

    def forward(self, images: Tensor) -> Tensor:
        """The part, as large as the other members' parts."""
        return self.blocks(F.relu(self.norm(self.stem(images))))


class EnsembleEncoder(nn.Module):
    """Members and what each counts."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(Member() for _ in range(MEMBERS))
        self.weights = nn.Parameter(0.5 ** torch.arange(MEMBERS, dtype=torch.float32))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The latents of the first member, the first two, and so on."""
        parts = [weight * member(images) for weight, member in zip(self.weights, self.members, strict=True)]
        return list(torch.stack(parts).cumsum(0))
