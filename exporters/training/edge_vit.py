"""The zoo's edge model: a light ViT on a stem that EfficientNet-Lite0 already trained, fine-tuned on labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exporters.networks import efficientnet_lite as lite
from exporters.networks.hybrid import HybridConfig, HybridVit
from exporters.networks.vit import MEAN, STD
from exporters.training.loop import Schedule, accuracy, device
from exporters.training.photos import augment, normalise
from exporters.training.teacher import deit_tiny

if TYPE_CHECKING:
    from pathlib import Path

    from exporters.training.photos import Photos

ATTENTION_WEIGHT = 0.5


class EdgeVit:
    """Recipe: smoothed labels on crops down to half of the photo's side.

    With a ``teacher`` (DeiT-Tiny weights) the class token also learns to look where the teacher's looks. Without, its
    attention serves the label only, and chooses patches hardly better than chance: tokens behind a convolutional stem
    and two layers no longer stand for their own patch alone.
    """

    def __init__(self, classes: int, teacher: Path | None = None, epochs: int = 8) -> None:
        self.model = HybridVit(HybridConfig(classes=classes))
        self.schedule = Schedule(epochs=epochs, batch=64, learning_rate=7e-4)
        self.teacher = deit_tiny(teacher).to(device()) if teacher else None

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Cross-entropy with the labels and, with a teacher, with its attention over the patches."""
        images = augment(pixels, generator, smallest_crop=0.5)
        logits, attention = self.model.forward_with_attention(normalise(images, lite.MEAN, lite.STD))
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.1)
        if self.teacher is None:
            return loss
        with torch.no_grad():
            _, wanted = self.teacher.forward_with_attention(normalise(images, MEAN, STD))
        return loss - ATTENTION_WEIGHT * (_over_patches(wanted) * _over_patches(attention).log()).sum(1).mean()

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        """Accuracy on whole photos."""
        return {
            "accuracy": accuracy(
                lambda pixels: model(normalise(pixels.permute(0, 3, 1, 2).float(), lite.MEAN, lite.STD)), photos
            )
        }


def _over_patches(attention: Tensor) -> Tensor:
    """Mean over heads of the class row ``[B, heads, T]``, class column dropped, summing to 1: ``[B, patches]``."""
    mean = attention.float().mean(1)[:, 1:]
    return mean / mean.sum(1, keepdim=True)
