"""The predecessor of the ensemble: one encoder that can be cut to a share of its channels (arXiv 2105.00591).

At width w every layer uses its first channels only, and so does the latent. Weights are shared between widths, running
statistics are each width's own, scale and shift are shared. The blocks are the ensemble's, so that the two differ in
what makes them slimmable alone.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exporters.networks.ensemble import CHANNELS

WIDTHS = 4
FULL_WIDTH = 32
EXPANSION = 2
SQUEEZED = 8


class SlimConv(nn.Module):
    """A convolution of which the first inputs and outputs may be used alone."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(out, channels, kernel, kernel), a=5**0.5))
        self.stride, self.padding = stride, (kernel - 1) // 2 if kernel % 2 else 0

    def forward(self, x: Tensor, number: int) -> Tensor:
        """At width ``number`` of ``WIDTHS``."""
        out = len(self.weight) * number // WIDTHS
        return F.conv2d(x, self.weight[:out, : x.shape[1]], stride=self.stride, padding=self.padding)


class SlimBatchNorm(nn.Module):
    """Batch norm with statistics for every width; scale and shift are the first entries of the full width's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channels * number // WIDTHS, affine=False) for number in range(1, WIDTHS + 1)
        )
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, number: int) -> Tensor:
        """Normalise with the statistics of that width."""
        count = x.shape[1]
        weight, bias = self.weight[:count, None, None], self.bias[:count, None, None]
        return self.norms[number - 1](x) * weight + bias


class SlimInstanceNorm(nn.Module):
    """Instance norm whose scale and shift are the first entries of the full width's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every channel of every picture by itself."""
        count = x.shape[1]
        return F.instance_norm(x, weight=self.weight[:count], bias=self.bias[:count])


class SlimBottleneck(nn.Module):
    """The ensemble's fused bottleneck, at any width."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        wide = EXPANSION * channels
        self.expand, self.norm = SlimConv(channels, wide, 3, stride), SlimInstanceNorm(wide)
        self.squeeze, self.excite = SlimConv(wide, SQUEEZED, 1, 1), SlimConv(SQUEEZED, wide, 1, 1)
        self.project, self.project_norm = SlimConv(wide, out, 1, 1), SlimBatchNorm(out)
        self.skips = stride == 1 and channels == out

    def forward(self, x: Tensor, number: int) -> Tensor:
        """Map ``[B, channels · n / 4, H, W]`` to ``[B, out · n / 4, H / stride, W / stride]``."""
        y = F.relu(self.norm(self.expand(x, number)))
        y = y * torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3), keepdim=True), number)), number))
        y = self.project_norm(self.project(y, number), number)
        return x + y if self.skips else y


class SlimEncoder(nn.Module):
    """Normalised pictures ``[B, 3, S, S]`` to latents ``[B, 12, S / 8, S / 8]``, whose last channels may be empty."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = SlimConv(3, FULL_WIDTH, 4, 4), SlimBatchNorm(FULL_WIDTH)
        blocks = [(FULL_WIDTH, 2), (FULL_WIDTH, 1), (CHANNELS, 1)]
        self.blocks = nn.ModuleList(SlimBottleneck(FULL_WIDTH, out, stride) for out, stride in blocks)

    def at_width(self, images: Tensor, number: int) -> Tensor:
        """The latent of one width, 1 to ``WIDTHS``; the channels that it does not have are zero."""
        x = F.relu(self.norm(self.stem(images, number), number))
        for block in self.blocks:
            x = block(x, number)
        return F.pad(x, (0, 0, 0, 0, 0, CHANNELS - x.shape[1]))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The latents of every width, the narrowest first."""
        return [self.at_width(images, number) for number in range(1, WIDTHS + 1)]
