"""The zoo's two-round classifier: a ViT on a frozen trunk, taught on pictures as the server recovers them.

The trunk is the patch-tolerant EfficientNet-Lite0, which already reads pictures with holes; only the transformer
learns, to correct it. Every photo goes the way that it will go later: sampled, coded with WebP at some quality,
recovered by the masked autoencoder, the sampled patches pasted over. Some batches stay whole.
"""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge_runtime import kernels
from edge_runtime.codecs import patches as patch_codec
from exporters.imagenette import IMAGENET_INDICES
from exporters.networks.catalogue import load_weights
from exporters.networks.efficientnet_lite import MEAN, STD, LiteTrunk, efficientnet_lite
from exporters.networks.mae import MaeConfig, MaskedAutoencoder, from_patches
from exporters.networks.two_round_vit import TwoRoundConfig, TwoRoundVit
from exporters.training.loop import Schedule, accuracy, device
from exporters.training.photos import augment, normalise
from exporters.training.recovery import LEAST_VISIBLE, MOST_VISIBLE, sampled_positions

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from exporters.training.photos import Photos

WHOLE = 0.15
QUALITIES = (10, 20, 35, 50, 75)
EVALUATED = (1.0, 0.5, 0.25)
EVALUATED_QUALITY = 35
SMOOTHING = 0.1


class TwoRound:
    """Recipe: smoothed labels. ``recovery`` and ``trunk`` are weights of `Recovery` and `PatchTolerant`."""

    def __init__(self, recovery: Path, trunk: Path, epochs: int = 3) -> None:
        lite = efficientnet_lite(0, IMAGENET_INDICES)
        load_weights(lite, trunk)
        self.model = TwoRoundVit(TwoRoundConfig(classes=len(IMAGENET_INDICES)), LiteTrunk(lite))
        self.model.trunk.requires_grad_(False).to(memory_format=torch.channels_last)  # so convolutions are quick
        self.schedule = Schedule(epochs=epochs, batch=64, learning_rate=1e-3)
        self.autoencoder = MaskedAutoencoder(MaeConfig())
        load_weights(self.autoencoder, recovery)
        self.autoencoder = self.autoencoder.to(device()).eval().requires_grad_(False)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Cross-entropy on recovered pictures."""
        self.model.trunk.eval()  # its normalisation statistics describe whole photos
        images = augment(pixels, generator, smallest_crop=0.5)
        seed, quality = (int(torch.randint(0, 2**31, (), generator=generator)) for _ in range(2))
        share = 1.0
        if torch.rand((), generator=generator) >= WHOLE:
            share = LEAST_VISIBLE + (MOST_VISIBLE - LEAST_VISIBLE) * float(torch.rand((), generator=generator))
        shown = images.permute(0, 2, 3, 1).round().clamp(0, 255).byte()
        seen, visible = self.server_sees(shown, share, seed, QUALITIES[quality % len(QUALITIES)])
        return F.cross_entropy(self.model(seen, visible).float(), labels, label_smoothing=SMOOTHING)

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        """Accuracy at several shares of patches on the jittered grid, WebP at quality 35."""
        figures = {}
        for share in EVALUATED:

            def predict(pixels: Tensor, share: float = share) -> Tensor:
                return model(*self.server_sees(pixels, share, 0, EVALUATED_QUALITY))

            figures[f"accuracy_at_{share:g}"] = accuracy(predict, photos)
        return figures

    @torch.no_grad()
    def server_sees(self, pixels: Tensor, share: float, seed: int, quality: int) -> tuple[Tensor, Tensor]:
        """What a server has of uint8 photos ``[B, S, S, 3]``: normalised pictures ``[B, 3, S, S]``, and what came.

        The latter is float32 ``[B, grid²]``: 1 where a patch arrived, 0 where it was recovered.
        """
        config = self.autoencoder.config
        positions = sampled_positions(len(pixels), config.grid, share, "jittered-grid", seed)
        sent = [_sent(photo, chosen, config.patch, quality) for photo, chosen in zip(pixels, positions, strict=True)]
        arrived = normalise(torch.from_numpy(np.stack(sent)).float(), MEAN, STD).to(pixels.device).flatten(2)
        positions = positions.to(pixels.device)
        visible = torch.zeros(len(pixels), config.grid**2, device=pixels.device).scatter(1, positions, 1.0)
        if share == 1:
            return _pictures(arrived, config.patch), visible
        recovered = self.autoencoder(arrived, positions).float().clamp(*_range())
        where = positions.unsqueeze(-1).expand(-1, -1, arrived.shape[-1])
        return _pictures(recovered.scatter(1, where, arrived), config.patch), visible


def _sent(photo: Tensor, positions: Tensor, patch: int, quality: int) -> NDArray[np.uint8]:
    """Patches uint8 ``[k, 3, patch, patch]`` of one photo as they arrive."""
    pixels = np.ascontiguousarray(photo.cpu().numpy())
    grid = (pixels.shape[0] // patch, pixels.shape[1] // patch)
    indices = positions.numpy().astype(np.uint16)
    data = patch_codec.encode(kernels.gather(pixels, indices, patch), indices, grid, "webp", quality)
    return patch_codec.decode(data, grid, patch)[1].transpose(0, 3, 1, 2)


def _pictures(patches: Tensor, patch: int) -> Tensor:
    return from_patches(patches, patch).contiguous(memory_format=torch.channels_last)


def _range() -> tuple[float, float]:
    """Black and white, normalised."""
    return (0 - MEAN[0]) / STD[0], (255 - MEAN[0]) / STD[0]
