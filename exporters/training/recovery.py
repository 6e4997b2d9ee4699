"""The zoo's masked autoencoder: recover the patches that were not sent, whatever their share."""

# mypy: disable-error-code="no-any-return"
# torch does not type what calling a module returns.

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from edge_runtime import kernels
from exporters.networks.efficientnet_lite import MEAN, STD
from exporters.networks.mae import MaeConfig, MaskedAutoencoder, to_patches
from exporters.training.loop import Schedule, device
from exporters.training.photos import augment, normalise

if TYPE_CHECKING:
    from exporters.training.photos import Photos

LEAST_VISIBLE, MOST_VISIBLE = 0.1, 0.75
RATIOS = (0.1, 0.25, 0.5)


class Recovery:
    """Recipe: mean squared error of the pixels that were not visible, at shares of 10 to 75 % visible.

    Half of the batches are sampled at random, as the paper does, half on the jittered grid, as the device does.
    """

    def __init__(self, config: MaeConfig | None = None, epochs: int = 9) -> None:
        self.model = MaskedAutoencoder(config or MaeConfig())
        self.schedule = Schedule(epochs=epochs, batch=32, learning_rate=1e-3)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:  # noqa: ARG002
        """Error on the hidden patches of a batch, which all show as many."""
        images = augment(pixels, generator, smallest_crop=0.5)
        patches = to_patches(normalise(images, MEAN, STD), self.model.config.patch)
        share = LEAST_VISIBLE + (MOST_VISIBLE - LEAST_VISIBLE) * float(torch.rand((), generator=generator))
        seed = int(torch.randint(0, 2**31, (), generator=generator))
        pattern: kernels.Pattern = "random" if seed % 2 else "jittered-grid"
        positions = sampled_positions(len(pixels), self.model.config.grid, share, pattern, seed).to(patches.device)
        return _hidden_error(self.model, patches, positions)

    def evaluate(self, model: nn.Module, photos: Photos) -> dict[str, float]:
        """PSNR in dB of the hidden patches at several shares on the jittered grid, over all pixels of all photos."""
        assert isinstance(model, MaskedAutoencoder)  # noqa: S101 - the loop hands back this recipe's own model
        return {f"psnr_at_{share:g}": self._psnr(model, photos, share) for share in RATIOS}

    def _psnr(self, model: MaskedAutoencoder, photos: Photos, share: float) -> float:
        errors = []
        for first in range(0, len(photos), 64):
            pixels = photos.pixels[first : first + 64].to(device()).permute(0, 3, 1, 2).float()
            patches = to_patches(normalise(pixels, MEAN, STD), model.config.patch)
            positions = sampled_positions(len(pixels), model.config.grid, share, "jittered-grid", first)
            errors += [float(_hidden_error(model, patches, positions.to(patches.device)))] * len(pixels)
        peak = 255 / STD[0]
        return float(10 * np.log10(peak**2 / np.mean(errors)))


def sampled_positions(batch: int, grid: int, share: float, pattern: kernels.Pattern, seed: int) -> Tensor:
    """Patches that as many devices would send: int64 ``[batch, round(share · grid²)]``."""
    count = round(share * grid**2)
    rows = [kernels.sample(pattern, (grid, grid), count, (seed + i) % 2**32) for i in range(batch)]
    return torch.from_numpy(np.stack(rows).astype(np.int64))


def _hidden_error(model: MaskedAutoencoder, patches: Tensor, positions: Tensor) -> Tensor:
    where = positions.unsqueeze(-1).expand(-1, -1, patches.shape[-1])
    recovered = model(patches.gather(1, where), positions).float()
    hidden = torch.ones(patches.shape[:2], device=patches.device).scatter(1, positions, 0.0)
    error = (recovered - patches).square().mean(-1)
    return (error * hidden).sum() / hidden.sum()
