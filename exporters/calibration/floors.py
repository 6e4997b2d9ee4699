"""Floors of rectified maps: what a decoded value must be above, or it is taken for the zero that it was.

Behind a ReLU most values are zero. A decoder that only cuts off what is negative keeps the positive half of the noise
there, and pooling adds it up: the larger part of what such a map's compression costs the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from edge_runtime.codecs.feature_tables import QUALITIES
from edge_runtime.kernels.reference_features import FeatureCoder
from exporters.calibration.rates import QUALITIES as SAMPLED
from exporters.calibration.rates import restored_maps

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edge_runtime.codecs.feature_tables import Tables

MOST_MAPS = 32
# Floors to try, in eighths of octaves above the standard deviation of a channel's noise.
HEIGHTS = (-16, -8, -4, 0, 3, 5, 8, 11, 13)
NO_FLOOR = -400


class Floors(NamedTuple):
    """Eighths of octaves that add up to a floor: int by channel, and int by quality."""

    by_channel: NDArray[np.int64]
    by_quality: NDArray[np.int64]


def choose_floors(
    tables: Tables, maps: NDArray[np.float32], suffix: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> Floors:
    """The floors that keep the logits nearest, by quality; ``tables`` have none yet."""
    chosen = maps[np.linspace(0, len(maps) - 1, min(MOST_MAPS, len(maps))).astype(int)]
    clean = suffix(chosen)
    coder = FeatureCoder(tables.plan)
    restored = [restored_maps(coder, tables, chosen, quality) for quality in SAMPLED]
    noise = np.array([(found - chosen).std(axis=(0, 2, 3)) for found in restored]) + 1e-9
    usual = np.exp(np.log(noise).mean(axis=1, keepdims=True))
    by_channel = np.rint(8 * np.log2(noise / usual).mean(axis=0)).astype(np.int64)
    best = []
    for found, size in zip(tqdm(restored, desc="floors", unit="quality", disable=None), usual[:, 0], strict=True):
        exponents = [NO_FLOOR, *(int(np.rint(8 * np.log2(size))) + height for height in HEIGHTS)]
        drifts = [_drift(found, 2.0 ** ((by_channel + exponent) / 8), clean, suffix) for exponent in exponents]
        best.append(exponents[int(np.argmin(drifts))])
    by_quality = np.rint(np.interp(np.arange(QUALITIES), list(SAMPLED), best)).astype(np.int64)
    return Floors(np.clip(by_channel, NO_FLOOR, -NO_FLOOR), np.clip(by_quality, NO_FLOOR, -NO_FLOOR))


def _drift(
    restored: NDArray[np.float32],
    floor: NDArray[np.float64],
    clean: NDArray[np.float32],
    suffix: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> float:
    """Mean distance of the logits from those of the clean maps."""
    floored = np.where(restored > floor[:, None, None], restored, np.float32(0))
    return float(np.linalg.norm(suffix(floored) - clean, axis=1).mean())
