"""What each quality of the feature codec costs and spoils, on calibration maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from edge_runtime.codecs.feature_tables import RatePoint
from edge_runtime.kernels.reference_features import FeatureCoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edge_runtime.codecs.feature_tables import Tables

QUALITIES = range(12, 101, 8)
MOST_MAPS = 48
PERCENTILE = 99


def rate_table(
    tables: Tables, maps: NDArray[np.float32], suffix: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> tuple[tuple[RatePoint, ...], float]:
    """Points by quality, and the factor that bounds logit drift by feature distance on 99 % of the maps."""
    chosen = maps[np.linspace(0, len(maps) - 1, min(MOST_MAPS, len(maps))).astype(int)]
    clean = np.concatenate([suffix(features[None]) for features in chosen])
    coder = FeatureCoder(tables.plan)
    points, factors = [], []
    for quality in tqdm(QUALITIES, desc="rates", unit="quality", disable=None):
        restored = restored_maps(coder, tables, chosen, quality)
        logits = np.concatenate([suffix(features[None]) for features in restored])
        drift = np.linalg.norm(logits - clean, axis=1)
        factors.append(drift / np.maximum(np.linalg.norm((restored - chosen).reshape(len(chosen), -1), axis=1), 1e-12))
        points.append(
            RatePoint(
                quality=quality,
                bytes=float(tables.bytes_at[quality]),
                agreement=float((logits.argmax(1) == clean.argmax(1)).mean()),
                drift=float(drift.mean()),
            )
        )
    return tuple(points), float(np.percentile(np.concatenate(factors), PERCENTILE))


def restored_maps(
    coder: FeatureCoder, tables: Tables, maps: NDArray[np.float32], quality: int
) -> NDArray[np.float32]:
    """Maps [N, C, H, W] as a decoder sees them."""
    step = tables.step(quality)
    restored = np.empty_like(maps)
    for features, out in zip(maps, restored, strict=True):
        coder.transform(np.ascontiguousarray(features))
        coder.reconstruct(coder.quantise(step), step, out)
    return restored
