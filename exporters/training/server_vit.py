"""The zoo's server ViT: DeiT-Tiny's shape, trained on random token subsets by dense distillation.

A plain ViT learns slowly from ten thousand photos, but a trained one of the same shape can show it every intermediate
state. The first part of the training is *block-wise*: block l receives the teacher's state l − 1 and must produce
state l, so that all blocks learn at once from right inputs. The second part runs end to end on its own states, still
pulled towards the teacher's, with labels and the teacher's probabilities added. Both see only a random subset of the
tokens, which is what the server will see, and which is cheaper too.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exporters.networks.vit import MEAN, STD, VisionTransformer, VitConfig
from exporters.training.loop import Schedule, accuracy, device
from exporters.training.photos import augment, normalise
from exporters.training.teacher import deit_tiny

if TYPE_CHECKING:
    from exporters.training.photos import Photos

RATIOS = (1.0, 0.5)
STATES_WEIGHT = 2.0


class ServerVit:
    """Recipe: ``blockwise`` is the share of the training in which blocks learn one by one."""

    def __init__(
        self, imagenet_classes: tuple[int, ...], teacher: Path, epochs: int = 40, blockwise: float = 0.4
    ) -> None:
        config = VitConfig(classes=len(imagenet_classes))
        self.model = VisionTransformer(config)
        self.schedule = Schedule(epochs=epochs, batch=64, learning_rate=2e-3, weight_decay=0.02)
        self.blockwise = blockwise
        self.teacher = deit_tiny(teacher).to(device())
        self.rows = torch.tensor(imagenet_classes)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        """Distance to the teacher's states, and past the block-wise part the classification losses."""
        images = augment(pixels, generator, smallest_crop=0.5)
        visible = _random_tokens(len(pixels), self.model.config.grid**2, generator).to(images.device)
        with torch.no_grad():
            states = [_gather(self.teacher.tokens(normalise(images, MEAN, STD)), visible)]
            for block in self.teacher.blocks:
                states.append(block(states[-1]))
        embedded = _gather(self.model.tokens(normalise(images, MEAN, STD)), visible)
        if progress < self.blockwise:
            return self._blockwise(embedded, states)
        return self._end_to_end(embedded, states, labels)

    def _blockwise(self, embedded: Tensor, states: list[Tensor]) -> Tensor:
        total = _relative_error(embedded, states[0], states[0])
        for block, before, after in zip(self.model.blocks, states, states[1:], strict=False):
            total = total + _relative_error(block(before), after, after - before)
        return total

    def _end_to_end(self, x: Tensor, states: list[Tensor], labels: Tensor) -> Tensor:
        total = _relative_error(x, states[0], states[0])
        for block, after in zip(self.model.blocks, states[1:], strict=True):
            x = block(x)
            total = total + _relative_error(x, after, after)
        logits = self.model.head(self.model.norm(x[:, 0])).float()
        with torch.no_grad():
            known = self.teacher.head(self.teacher.norm(states[-1][:, 0]))[:, self.rows.to(x.device)]
        classification = F.cross_entropy(logits, labels) + F.cross_entropy(logits, known.float().softmax(-1))
        return STATES_WEIGHT * total / len(states) + 0.5 * classification

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        """Accuracy at several shares of randomly chosen patches."""
        assert isinstance(model, VisionTransformer)  # noqa: S101 - the loop hands back this recipe's own model
        figures = {}
        for ratio in RATIOS:
            generator = torch.Generator().manual_seed(0)

            def predict(pixels: Tensor, ratio: float = ratio, generator: torch.Generator = generator) -> Tensor:
                x = model.tokens(normalise(pixels.permute(0, 3, 1, 2).float(), MEAN, STD))
                keep = round(ratio * model.config.grid**2)
                x = _gather(x, _random_tokens(len(x), model.config.grid**2, generator, keep).to(x.device))
                for block in model.blocks:
                    x = block(x)
                return model.head(model.norm(x[:, 0]))

            figures[f"accuracy_at_{ratio:g}"] = accuracy(predict, photos)
        return figures


def _random_tokens(batch: int, count: int, generator: torch.Generator, keep: int | None = None) -> Tensor:
    """Token indices ``[batch, 1 + keep]``: the class token and a random subset, a quarter to two thirds of all."""
    if keep is None:
        keep = int(count * (0.25 + 0.42 * torch.rand((), generator=generator)))
    chosen = torch.rand(batch, count, generator=generator).argsort(1)[:, :keep] + 1
    return torch.cat([torch.zeros(batch, 1, dtype=torch.long), chosen], dim=1)


def _gather(tokens: Tensor, indices: Tensor) -> Tensor:
    return tokens.gather(1, indices.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def _relative_error(got: Tensor, wanted: Tensor, scale: Tensor) -> Tensor:
    """Squared error over the variance of ``scale``; the class token counts as much as all patches together."""
    error = (got.float() - wanted.float()).square()
    scale = scale.float()
    return error[:, 1:].mean() / scale[:, 1:].var() + error[:, 0].mean() / scale[:, 0].var()
