"""Teach any convolutional classifier to live with missing patches.

Beyond the papers: the server's network sees the patches that arrived at their place and the mean colour elsewhere.
A plain network falls from 99 to 31 % when three quarters of the patches are gone; a few epochs in which the network
must give *its own* whole-photo answer from a random part of the photo repair most of that. Labels are not needed.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exporters.training.loop import Schedule, accuracy, device
from exporters.training.photos import normalise

if TYPE_CHECKING:
    from exporters.training.photos import Photos

RATIOS = (1.0, 0.75, 0.5, 0.25)


class PatchTolerant:
    """Recipe: distil ``model`` on whole photos into itself on random patch subsets, normalisation statistics frozen."""

    def __init__(
        self,
        model: nn.Module,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        epochs: int = 2,
        patch: int = 16,
    ) -> None:
        self.model = model
        self.mean, self.std, self.patch = mean, std, patch
        self.schedule = Schedule(epochs=epochs, batch=32, learning_rate=3e-4, weight_decay=1e-4)
        self.teacher = copy.deepcopy(model).to(device()).eval().requires_grad_(False)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Cross-entropy against the unmasked network's probabilities; a tenth of the batch stays whole."""
        _freeze_statistics(self.model)
        images = normalise(pixels.permute(0, 3, 1, 2).float(), self.mean, self.std)
        if torch.rand((), generator=generator) < 0.5:
            images = images.flip(-1)
        with torch.no_grad():
            wanted = self.teacher(images).float().softmax(-1)
        ratios = (0.2 + 0.9 * torch.rand(len(images), generator=generator)).clamp(max=1.0)
        masked = images * keep_mask(images, ratios, self.patch, generator)
        return F.cross_entropy(self.model(masked).float(), wanted)

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        """Accuracy at several shares of randomly chosen patches."""
        figures = {}
        for ratio in RATIOS:
            generator = torch.Generator().manual_seed(0)

            def predict(pixels: Tensor, ratio: float = ratio, generator: torch.Generator = generator) -> Tensor:
                images = normalise(pixels.permute(0, 3, 1, 2).float(), self.mean, self.std)
                ratios = torch.full((len(images),), ratio)
                return model(images * keep_mask(images, ratios, self.patch, generator))

            figures[f"accuracy_at_{ratio:g}"] = accuracy(predict, photos)
        return figures


def keep_mask(images: Tensor, ratios: Tensor, patch: int, generator: torch.Generator) -> Tensor:
    """Random 0/1 mask ``[B, 1, H, W]`` that keeps the given share of each image's patches.

    Half of the images lose scattered patches; the other half keep a soft-edged region around a random centre, which is
    closer to what attention selects.
    """
    batch, _, height, width = images.shape
    rows, columns = height // patch, width // patch
    scores = torch.rand(batch, rows, columns, generator=generator)
    centres = torch.rand(batch, 2, generator=generator)
    y = (torch.arange(rows) / (rows - 1)).view(1, rows, 1) - centres[:, 0].view(-1, 1, 1)
    x = (torch.arange(columns) / (columns - 1)).view(1, 1, columns) - centres[:, 1].view(-1, 1, 1)
    regional = torch.rand(batch, generator=generator) < 0.5
    scores = scores - regional.view(-1, 1, 1) * 3.0 * (x * x + y * y).sqrt()
    ranks = scores.flatten(1).argsort(1, descending=True).argsort(1)
    keep = (ranks < (ratios * rows * columns).round().clamp(min=1).unsqueeze(1)).view(batch, 1, rows, columns)
    return keep.float().repeat_interleave(patch, 2).repeat_interleave(patch, 3).to(images.device)


def _freeze_statistics(model: nn.Module) -> None:
    """Keep batch-norm's running statistics, which describe whole photos; scale and shift still learn."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
