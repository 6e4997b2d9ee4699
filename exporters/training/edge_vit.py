"""The zoo's edge model: a light ViT on a stem that EfficientNet-Lite0 already trained, fine-tuned on labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from exporters.networks import efficientnet_lite as lite
from exporters.networks.hybrid import HybridConfig, HybridVit
from exporters.training.loop import Schedule, accuracy
from exporters.training.photos import augment, normalise

if TYPE_CHECKING:
    import torch

    from exporters.training.photos import Photos


class EdgeVit:
    """Recipe: smoothed labels on crops down to half of the photo's side."""

    def __init__(self, classes: int, epochs: int = 8) -> None:
        self.model = HybridVit(HybridConfig(classes=classes))
        self.schedule = Schedule(epochs=epochs, batch=64, learning_rate=7e-4)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Cross-entropy of the augmented batch."""
        images = normalise(augment(pixels, generator, smallest_crop=0.5), lite.MEAN, lite.STD)
        return F.cross_entropy(self.model(images).float(), labels, label_smoothing=0.1)

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        """Accuracy on whole photos."""
        return {
            "accuracy": accuracy(
                lambda pixels: model(normalise(pixels.permute(0, 3, 1, 2).float(), lite.MEAN, lite.STD)), photos
            )
        }
