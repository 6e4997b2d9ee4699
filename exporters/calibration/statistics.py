"""Histograms and sizes of the feature codec, counted on calibration maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from edge_runtime.codecs.feature_tables import ACTIVITY_TABLES, QUALITIES
from edge_runtime.kernels.feature_plan import ESCAPE, LANES, PROBABILITY_BITS, RATIOS, SYMBOLS
from edge_runtime.kernels.reference_features import FeatureCoder, activity_classes, flatten, split_ratios

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.codecs.feature_tables import Tables
    from edge_runtime.kernels.interface import U16

SAMPLED = np.arange(4, QUALITIES, 8)
"""Qualities at which symbols are counted; histograms are by expected magnitude, so others share them."""
MOST_MAPS = 64
PRIOR_COUNT = 64.0
FIXED_BYTES = 9 + 4 * LANES
"""Header and the coder's states."""
SLOTS = 1 << PROBABILITY_BITS


class Statistics(NamedTuple):
    """The arrays of `FeatureTables` by the same names."""

    activity: bool
    histograms: U16
    levels: NDArray[np.uint32]
    bytes_at: NDArray[np.uint32]


class _Count(NamedTuple):
    """One way of coding: symbol counts [SAMPLED, tables, SYMBOLS] and raw bits [SAMPLED], over all maps."""

    symbols: NDArray[np.float64]
    raw: NDArray[np.float64]


def dummy_statistics() -> Statistics:
    """Statistics of nothing, for a coder that only quantises."""
    histograms = np.stack([normalise(_laplace(table)) for table in range(RATIOS)] + [_classes()] * ACTIVITY_TABLES)
    nothing = np.zeros(QUALITIES, np.uint32)
    return Statistics(False, histograms, nothing, nothing)


def gather_statistics(tables: Tables, maps: NDArray[np.float32]) -> Statistics:
    """Quantise the maps at a range of qualities and count; block classes are used if they make the payload smaller."""
    chosen = maps[np.linspace(0, len(maps) - 1, min(MOST_MAPS, len(maps))).astype(int)]
    coder = FeatureCoder(tables.plan)
    sums = _block_sums(coder, tables, chosen)
    levels = _interpolate(sums, 16)
    counts = [_count(coder, tables, chosen, None), _count(coder, tables, chosen, levels)]
    found = [(_histograms(count), count) for count in counts]
    sizes = [_bytes(histograms, count) / len(chosen) for histograms, count in found]
    activity = bool(tables.plan.frequencies > 1 and sizes[1].sum() < sizes[0].sum())
    return Statistics(activity, found[activity][0], levels, _interpolate(sizes[activity] + FIXED_BYTES, 1))


def _block_sums(coder: FeatureCoder, tables: Tables, maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean sum of magnitudes of a block without its lowest frequency, by sampled quality."""
    sums = np.zeros(len(SAMPLED))
    for features in tqdm(maps, desc="levels", unit="map", leave=False, disable=None):
        coder.transform(features)
        for i, quality in enumerate(SAMPLED):
            sums[i] += np.abs(coder.quantise(tables.step(int(quality)))[1:]).sum() / tables.plan.blocks
    return sums / len(maps)


def _count(
    coder: FeatureCoder, tables: Tables, maps: NDArray[np.float32], levels: NDArray[np.uint32] | None
) -> _Count:
    symbols = np.zeros((len(SAMPLED), RATIOS + ACTIVITY_TABLES, SYMBOLS))
    raw = np.zeros(len(SAMPLED))
    for features in tqdm(maps, desc="symbols", unit="map", leave=False, disable=None):
        coder.transform(features)
        for i, quality in enumerate(SAMPLED):
            step = tables.step(int(quality))
            quantised = coder.quantise(step)
            classes = np.full(tables.plan.blocks, 2)
            if levels is not None:
                classes = activity_classes(quantised, int(levels[quality]))
                symbols[i, step.activity_table] += np.bincount(classes, minlength=SYMBOLS)
            values, ratios = flatten(quantised, classes, step)
            table, shift = split_ratios(ratios)
            high = (values + ((1 << shift) >> 1)) >> shift
            escaped = np.abs(high) > 15
            np.add.at(symbols[i], (table, np.where(escaped, ESCAPE, high + 15)), 1)
            raw[i] += shift.sum() + _escape_bits(high[escaped])
    return _Count(symbols, raw)


def _escape_bits(values: NDArray[np.int32]) -> float:
    return float((5 + np.floor(np.log2(np.abs(values), where=values != 0, out=np.zeros(len(values))))).sum())


def _histograms(count: _Count) -> U16:
    total = count.symbols.sum(axis=0)
    rows = [normalise(total[table] + PRIOR_COUNT * _laplace(table)) for table in range(RATIOS)]
    for table in range(RATIOS, RATIOS + ACTIVITY_TABLES):
        seen = total[table] + np.where(np.arange(SYMBOLS) < 4, 0.5, 0)
        rows.append(normalise(seen / seen.sum(), least=1))
    return np.stack(rows)


def _laplace(table: int) -> NDArray[np.float64]:
    """Discretised Laplace distribution whose mean magnitude is that of a histogram's ratio, in steps."""
    fall = np.exp(-(2.0 ** (4 - table / 4)))
    magnitude = np.arange(17)
    tail = np.where(magnitude == 0, 1.0, fall ** (magnitude - 0.5))
    each = (tail[:-1] - tail[1:]) / np.where(magnitude[:-1] == 0, 1, 2)
    return np.concatenate([each[:0:-1], each, [tail[16]]])


def _classes() -> U16:
    return normalise(np.where(np.arange(SYMBOLS) < 4, 0.25, 0), least=1)


def normalise(weights: NDArray[np.float64], least: int = 0) -> U16:
    """Whole shares of 1024. What is too rare for a share gets ``least`` where it occurs at all: the escape codes it."""
    shares = np.rint(weights / weights.sum() * SLOTS).astype(np.int64)
    shares[(shares == 0) & (weights > 0)] = least
    if not least:
        shares[ESCAPE] = max(shares[ESCAPE], 1)
    largest = int(shares.argmax())
    shares[largest] += SLOTS - shares.sum()
    if shares[largest] == SLOTS:
        shares[largest], shares[largest - 1] = SLOTS - 1, 1
    stored: U16 = shares.astype(np.uint16)
    return stored


def _bytes(histograms: U16, count: _Count) -> NDArray[np.float64]:
    """Payload bytes of all maps by sampled quality, header left out."""
    escape = -np.log2(histograms[:, ESCAPE:].clip(min=1) / SLOTS) + 7
    bits = np.where(histograms > 0, -np.log2(histograms.clip(min=1) / SLOTS), escape)
    sized: NDArray[np.float64] = ((count.symbols * bits).sum(axis=(1, 2)) + count.raw) / 8
    return sized


def _interpolate(values: NDArray[np.float64], unit: float) -> NDArray[np.uint32]:
    """From the sampled qualities to all, straight in the logarithm."""
    logarithms = np.interp(np.arange(QUALITIES), SAMPLED, np.log(values + 1e-3))
    counted: NDArray[np.uint32] = np.rint(unit * np.exp(logarithms)).astype(np.uint32)
    return counted
