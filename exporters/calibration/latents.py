"""From photos and a family's exported encoders to the latent codec's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from edge_runtime.codecs.latent_tables import make_tables
from edge_runtime.kernels.latents import MAX_LEVELS
from exporters.validate_samples import samples_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edge_runtime.models import Model
    from edge_runtime.models.bundle import Triple

    F32 = NDArray[np.float32]


class LatentEncoders:
    """A family's encoders as the device runs them, for one photo at a time: all at once.

    ``combined`` makes latents ``[encoders, C, h, w]`` of every number of encoders from what each gave; ``mean`` and
    ``std`` are in 0..255 units.
    """

    def __init__(self, models: Sequence[Model], combined: Callable[[F32], F32], mean: Triple, std: Triple) -> None:
        self._models, self._combined = models, combined
        self._mean, self._std = mean, std

    def latents(self, pixels: NDArray[np.uint8]) -> F32:
        """Latents ``[encoders, C, h, w]`` of a photo ``[S, S, 3]``."""
        (sample,) = samples_of("latent-encoder", pixels[np.newaxis], self._mean, self._std, 1)
        return self._combined(np.concatenate([model.run(sample)["latent"] for model in self._models]))


def latent_tables(encoders: LatentEncoders, photos: NDArray[np.uint8], levels: tuple[int, ...], steps: F32) -> bytes:
    """The tables' file: ``steps [levels, C]`` are the quantiser's, symbols are counted on ``photos [N, S, S, 3]``."""
    _, channels, height, width = encoders.latents(photos[0]).shape
    shown = tqdm(photos, "counting symbols", unit="photo", mininterval=5)
    counts = np.sum([count_symbols(encoders.latents(pixels), levels, steps) for pixels in shown], axis=0)
    return make_tables((channels, height, width), levels, steps, counts)


def count_symbols(latents: F32, levels: tuple[int, ...], steps: F32) -> NDArray[np.int64]:
    """How often each symbol occurs in latents ``[E, C, h, w]``: ``[E, levels, C, 16]``."""
    encoders, channels = latents.shape[:2]
    # Each channel of each encoder counts in bins of its own.
    first = MAX_LEVELS * np.arange(encoders * channels).reshape(encoders, channels, 1, 1)
    counts = np.empty((encoders, len(levels), channels, MAX_LEVELS), np.int64)
    for at, count in enumerate(levels):
        inverse = (np.float32(1) / steps[at])[:, np.newaxis, np.newaxis]
        symbols = np.floor(latents * inverse + np.float32(count / 2)).clip(0, count - 1).astype(np.int64)
        bins = np.bincount((first + symbols).ravel(), minlength=encoders * channels * MAX_LEVELS)
        counts[:, at] = bins.reshape(encoders, channels, MAX_LEVELS)
    return counts
