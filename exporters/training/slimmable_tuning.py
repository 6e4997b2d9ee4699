"""Slimmable encoders, their decoder and the network behind it, tuned together for the answer.

Ours: the published systems stop at features. A tiny encoder cannot keep all of them, and which of them an answer needs
only the answer can teach; the network behind never saw what a decoder makes of a few bits.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from exporters.imagenette import IMAGENET_INDICES
from exporters.networks import efficientnet_lite as lite
from exporters.networks.latent import LEVELS
from exporters.networks.latent_parts import SlimmableClassifier
from exporters.training.loop import Schedule, device
from exporters.training.photos import augment
from exporters.training.slimmable import (
    SMALLEST_CROP,
    channels_last,
    corner_accuracies,
    distance,
    draw,
    normalised,
)

if TYPE_CHECKING:
    from torch import nn

    from exporters.networks.latent import SlimmableNetwork
    from exporters.training.photos import Photos


class SlimmableTuning:
    """Recipe: a third of each batch with one encoder, a third with some, a third with all; random levels for each."""

    def __init__(self, slimmable: SlimmableNetwork, epochs: int = 5) -> None:
        teacher = lite.Halves(lite.efficientnet_lite(0, IMAGENET_INDICES)).to(device())
        self.teacher = channels_last(teacher).eval().requires_grad_(False)
        network = lite.efficientnet_lite(0, IMAGENET_INDICES)
        self.model = channels_last(SlimmableClassifier(slimmable, network)).requires_grad_(True)
        for name, parameter in self.model.classifier.halves.named_parameters():
            # Their gradients cost a CPU more than all others together, and they hold next to nothing.
            parameter.requires_grad_("_depthwise_conv" not in name)
        self.schedule = Schedule(epochs=epochs, batch=32, learning_rate=8e-4, weight_decay=0.01)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Cross-entropy with labels and teacher, and the distance from the teacher's last features."""
        classifier = self.model.classifier
        classifier.halves.eval()  # the statistics of nine thousand photos would be worse than ImageNet's
        images = normalised(augment(pixels, generator, smallest_crop=SMALLEST_CROP))
        with torch.no_grad():
            wanted = self.teacher.tail(self.teacher.head(images))[-1]
            likely = self.teacher.classify(wanted).float().softmax(1)
        latents = self.model.encoder(images)
        numbers = (0, draw(len(latents), generator), len(latents) - 1)
        parts = [latent.chunk(3)[place] for place, latent in enumerate(latents[number] for number in numbers)]
        values = [self.model.quantiser(part, LEVELS[draw(len(LEVELS), generator)]) for part in parts]
        last = classifier.halves.tail(classifier.decoder(torch.cat(values)))[-1]
        logits = classifier.halves.classify(last).float()
        return F.cross_entropy(logits, labels) + F.cross_entropy(logits, likely) + distance(last, wanted)

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        """Accuracy at the corners of the modes, on an even sample."""
        assert isinstance(model, SlimmableClassifier)  # noqa: S101 - the loop hands back this recipe's own model
        return corner_accuracies(model, model.classifier, photos)
