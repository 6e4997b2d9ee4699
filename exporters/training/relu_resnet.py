"""The zoo's network with plain ReLU: a small ResNet that learns from labels and from EfficientNet-Lite0's features."""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exporters.networks import efficientnet_lite as lite
from exporters.networks.resnet import WIDTHS, ResNet
from exporters.training.loop import Schedule, accuracy, device
from exporters.training.photos import augment, normalise

if TYPE_CHECKING:
    from exporters.training.photos import Photos

TEACHER_CHANNELS = 1280
FEATURE_WEIGHT = 2.0
# Small pictures teach as much per step at first and cost a fraction; the last steps see them whole.
SIDES = ((0.55, 128), (0.85, 176), (1.01, 224))


class Student(nn.Module):
    """The network and, for training only, the layer that maps its features to the teacher's."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.network = ResNet(classes)
        self.to_teacher = nn.Conv2d(WIDTHS[-1], TEACHER_CHANNELS, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the network alone."""
        return self.network(images)


class ReluResnet:
    """Recipe: smoothed labels, and the pooled features of EfficientNet-Lite0 on the same crop.

    From labels alone, nine thousand photos are too few for a network without pretrained weights.
    """

    def __init__(self, classes: int, epochs: int = 18) -> None:
        self.model = Student(classes)
        self.schedule = Schedule(epochs=epochs, batch=64, learning_rate=2e-3, weight_decay=0.05)
        self.teacher = lite.efficientnet_lite(0).to(device()).eval().requires_grad_(False)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        """Cross-entropy with the labels plus the distance from the teacher's pooled features."""
        images = augment(pixels, generator, smallest_crop=0.5)
        side = next(side for until, side in SIDES if progress < until)
        images = normalise(F.interpolate(images, size=(side, side), mode="area"), lite.MEAN, lite.STD)
        with torch.no_grad():
            wanted = _pooled(cast("Any", self.teacher).extract_features(images))
        features = self.model.network.features(images)
        logits = self.model.network.classifier(features.mean((2, 3)))
        distance = F.mse_loss(_pooled(self.model.to_teacher(features)), wanted)
        return F.cross_entropy(logits.float(), labels, label_smoothing=0.1) + FEATURE_WEIGHT * distance

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        """Accuracy on whole photos."""
        return {
            "accuracy": accuracy(
                lambda pixels: model(normalise(pixels.permute(0, 3, 1, 2).float(), lite.MEAN, lite.STD)), photos
            )
        }


def _pooled(features: Tensor) -> Tensor:
    """Mean over space, float32, scaled to unit variance over channels."""
    pooled = features.float().mean((2, 3))
    return F.layer_norm(pooled, pooled.shape[1:])
