"""Slimmable encoders learn, with their decoder, to give a frozen network what its first blocks would have given.

The published systems distil with the squared error at the end of the decoder and at two later points, and train the
least, a random and the most encoder work in every step (sandwich), then the decoder alone. For the ensemble that is a
reconstruction: its training code is not public.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exporters.imagenette import IMAGENET_INDICES
from exporters.networks import efficientnet_lite as lite
from exporters.networks.latent import LEVELS, SlimmableNetwork
from exporters.training.loop import Schedule, accuracy, device
from exporters.training.photos import augment, normalise

if TYPE_CHECKING:
    from exporters.training.photos import Photos

Network = TypeVar("Network", bound=nn.Module)

SMALLEST_CROP = 0.75
# Parts of pictures, not scaled, teach local features as well as whole ones and cost half.
PART, WHOLE_FROM = 160, 0.5
DECODER_ALONE_FROM = 0.8
LATER_WEIGHT = 3.0
WATCHED = ((1, 2), (1, 16), (4, 2), (4, 16))
WATCHED_PHOTOS = 256


class Slimmable:
    """Recipe: the teacher's features at three points, for three amounts of work and random numbers of levels."""

    def __init__(self, encoder: nn.Module, channels: int, epochs: int = 12) -> None:
        self.model = _channels_last(SlimmableNetwork(encoder, channels))
        self.schedule = Schedule(epochs=epochs, batch=32, learning_rate=3e-3, weight_decay=0.01)
        teacher = lite.Halves(lite.efficientnet_lite(0, IMAGENET_INDICES)).to(device())
        self.teacher = _channels_last(teacher).eval().requires_grad_(False)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        """Distance from the teacher, as a share of what it varies; at the end the labels', too."""
        images = augment(pixels, generator, smallest_crop=SMALLEST_CROP)
        if progress < WHOLE_FROM:
            images = _part(images, generator)
        images = _normalised(images)
        with torch.no_grad():
            wanted = self.teacher.head(images)
            wanted_later = self.teacher.tail(wanted)
        latents = self._latents(images, progress)
        random = _draw(len(latents), generator)
        given = [
            self.model.features(latents[number], LEVELS[_draw(len(LEVELS), generator)])
            for number in (0, random, len(latents) - 1)
        ]
        # One of the three is followed to the end: the frozen blocks cost more than all before them.
        later = self.teacher.tail(given[_draw(3, generator)])
        distances = [_distance(one, wanted) for one in given]
        distances += [LATER_WEIGHT * _distance(*pair) for pair in zip(later, wanted_later, strict=True)]
        if progress >= DECODER_ALONE_FROM:
            distances.append(F.cross_entropy(self.teacher.classify(later[-1]).float(), labels))
        return torch.stack(distances).sum()

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        """Accuracy at the corners of the modes, on an even sample."""
        assert isinstance(model, SlimmableNetwork)  # noqa: S101 - the loop hands back this recipe's own model
        few = photos.subset(torch.linspace(0, len(photos) - 1, min(WATCHED_PHOTOS, len(photos))).long())
        return {
            f"accuracy_{number}x{levels}": accuracy(partial(self._logits, model, number, levels), few)
            for number, levels in WATCHED
        }

    def _logits(self, model: SlimmableNetwork, number: int, levels: int, pixels: Tensor) -> Tensor:
        latent = model.latents(_normalised(pixels.permute(0, 3, 1, 2).float()))[number - 1]
        return self.teacher.classify(self.teacher.tail(model.features(latent, levels))[-1])

    def _latents(self, images: Tensor, progress: float) -> list[Tensor]:
        if progress < DECODER_ALONE_FROM:
            return self.model.latents(images)
        self.model.encoder.eval()
        with torch.no_grad():
            return self.model.latents(images)


def _channels_last(network: Network) -> Network:
    """With weights in the layout that convolutions on a CPU are fastest in."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's overloads leave it out
    return network


def _normalised(images: Tensor) -> Tensor:
    """Pictures ``[B, 3, S, S]`` in 0..255 as EfficientNet-Lite wants them."""
    return normalise(images, lite.MEAN, lite.STD).contiguous(memory_format=torch.channels_last)


def _draw(count: int, generator: torch.Generator) -> int:
    """One of ``count`` numbers, from 0."""
    return int(torch.randint(count, (), generator=generator))


def _distance(given: Tensor, wanted: Tensor) -> Tensor:
    """Squared error as a share of the variance of ``wanted`` within its channels."""
    varies = (wanted - wanted.mean((0, 2, 3), keepdim=True)).float().square().mean()
    return (given.float() - wanted.float()).square().mean() / varies


def _part(images: Tensor, generator: torch.Generator) -> Tensor:
    top, left = torch.randint(0, images.shape[-1] - PART + 1, (2,), generator=generator).tolist()
    return images[..., top : top + PART, left : left + PART]
