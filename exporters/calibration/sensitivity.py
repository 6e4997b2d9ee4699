"""How much each channel of a feature map matters to the answer, measured on the suffix itself.

Small random waves are added to one channel at a time, one band of frequencies at a time, and the change of the logits
is recorded. The inner products of these changes say which channels' errors matter, and which add up or cancel. It
needs no gradients, so any ONNX file will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# A wave's size over the channel's standard deviation: what a coarse quantiser does, so that kinks are averaged.
WAVE = 0.1
MOST_RUNS = 20_000
MOST_PHOTOS = 40
LEAST_PHOTOS = 8
BATCH = 32
# Lowest sum of vertical and horizontal frequency in each band.
BANDS = (0, 1, 2, 4, 7)


class Sensitivity(NamedTuple):
    """``grams`` float64 [bands, C, C]: mean inner products of logit changes per unit of one coefficient.

    ``band`` int [K] names the band of each frequency, in raster order.
    """

    grams: NDArray[np.float64]
    band: NDArray[np.int64]


def measure(
    suffix: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    maps: NDArray[np.float32],
    basis: NDArray[np.float64],
    seed: int = 0,
) -> Sensitivity:
    """Probe ``suffix`` (maps [B, C, H, W] to logits) around as many of ``maps`` as time allows."""
    block = len(basis)
    band = _bands(block)
    bands, channels = band.max() + 1, maps.shape[1]
    photos = int(np.clip(MOST_RUNS // (bands * channels), LEAST_PHOTOS, MOST_PHOTOS))
    chosen = maps[np.linspace(0, len(maps) - 1, min(photos, len(maps))).astype(int)]
    size = WAVE * maps.std(axis=(0, 2, 3)) + 1e-12
    rng = np.random.default_rng(seed)
    grams = np.zeros((bands, channels, channels))
    for features in tqdm(chosen, desc="sensitivity", unit="photo", disable=None):
        clean = suffix(features[None])[0]
        for number in range(bands):
            wave = _wave(rng, band == number, basis, features.shape[1:])
            changes = _changes(suffix, features, wave, size) - clean
            changes /= size[:, None]
            grams[number] += changes @ changes.T
    rows, columns = -(-maps.shape[2] // block), -(-maps.shape[3] // block)
    per_band = np.bincount(band) * rows * columns * len(chosen)
    return Sensitivity(grams / per_band[:, None, None], band)


def _bands(block: int) -> NDArray[np.int64]:
    total = np.add.outer(np.arange(block), np.arange(block)).ravel()
    band = np.searchsorted(BANDS, total, side="right") - 1
    numbered: NDArray[np.int64] = np.unique(band, return_inverse=True)[1]
    return numbered


def _wave(
    rng: np.random.Generator, within: NDArray[np.bool_], basis: NDArray[np.float64], size: tuple[int, ...]
) -> NDArray[np.float32]:
    """A map [H, W] whose coefficients inside the band are ±1 and outside 0."""
    block = len(basis)
    rows, columns = -(-size[0] // block), -(-size[1] // block)
    signs = rng.choice((-1.0, 1.0), (rows, columns, block * block)) * within
    grid = signs.reshape(rows, columns, block, block)
    wave = np.einsum("ki,rskl,lj->risj", basis, grid, basis).reshape(rows * block, columns * block)
    inside: NDArray[np.float32] = wave[: size[0], : size[1]].astype(np.float32)
    return inside


def _changes(
    suffix: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    features: NDArray[np.float32],
    wave: NDArray[np.float32],
    size: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Logits [C, classes] with the wave added to each channel in turn."""
    logits = []
    for first in range(0, len(features), BATCH):
        channels = np.arange(first, min(first + BATCH, len(features)))
        batch = np.repeat(features[None], len(channels), axis=0)
        batch[np.arange(len(channels)), channels] += size[channels, None, None] * wave
        logits.append(suffix(batch))
    return np.concatenate(logits).astype(np.float64)
