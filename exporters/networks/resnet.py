"""A residual network with plain ReLU (He et al., CVPR 2016), small enough to train on a CPU.

Its feature maps are what the FF codec was made for: non-negative, with many exact zeros. EfficientNet-Lite's cuts are
linear.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (32, 64, 128, 256)
BLOCKS_PER_STAGE = 2


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut: ``[B, inputs, H, W]`` to ``[B, outputs, H / stride, W / stride]``."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """The block's output after its last ReLU."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet-18 at half its width: 2.8 M parameters, 0.46 GMACs at 224 pixels."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], 7, 2, 3, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        stages = []
        inputs = WIDTHS[0]
        for number, width in enumerate(WIDTHS):
            for block in range(BLOCKS_PER_STAGE):
                stages.append(Block(inputs, width, 2 if number and block == 0 else 1))
                inputs = width
        self.blocks = nn.Sequential(*stages)
        self.classifier = nn.Linear(inputs, classes)

    def features(self, images: Tensor) -> Tensor:
        """Map ``images [B, 3, H, W]`` to the last feature map ``[B, 256, H / 32, W / 32]``."""
        return self.blocks(self.stem(images))

    def forward(self, images: Tensor) -> Tensor:
        """Map ``images [B, 3, H, W]`` to ``logits [B, classes]``."""
        return self.classifier(self.features(images).mean((2, 3)))
