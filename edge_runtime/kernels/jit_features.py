"""The feature coder in Numba: the bytes of `reference_features`, in loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.kernels import jit_rans as rans
from edge_runtime.kernels.feature_plan import (
    ACTIVITY_HIGH,
    ACTIVITY_LOW,
    ACTIVITY_SKIP,
    ACTIVITY_USUAL,
    LARGEST_RATIO,
    MAX_VALUE,
)
from edge_runtime.kernels.interface import Status
from edge_runtime.kernels.jit_compile import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.kernels.feature_plan import FeaturePlan, FeatureStep
    from edge_runtime.kernels.interface import F32, I32, U8, U16

    I16 = NDArray[np.int16]

_BAD_FEATURES = int(Status.BAD_FEATURES)
_BAD_STREAM = int(Status.BAD_STREAM)
_SHIFT = 14
_LARGEST_SYMBOL = 15
# Ratios from here on send a low bit as it is, another one every four.
_FIRST_SHIFTED = 24


class FeatureCoder:
    """See `interface.FeatureCoder`."""

    def __init__(self, plan: FeaturePlan) -> None:
        self._plan = plan
        self._starts = rans.starts_of(plan.histograms)
        self._slots = rans.slots_of(plan.histograms)
        shape = (plan.frequencies, plan.blocks, plan.channels)
        self._coefficients = np.zeros(shape, np.int16)
        self._levels = np.zeros(shape, np.int32)
        self._padded = np.zeros((plan.channels, plan.rows * plan.block, plan.columns * plan.block), np.int16)

    def transform(self, features: F32) -> int:
        """See `interface.FeatureCoder`."""
        plan = self._plan
        if _scale(features, plan.mean, plan.scale, self._padded) < 0:
            return _BAD_FEATURES
        _forward_blocks(self._padded, plan.basis, plan.zigzag, self._coefficients)
        return Status.OK

    def encode(self, step: FeatureStep, out: U8) -> int:
        """See `interface.FeatureCoder`."""
        plan = self._plan
        _quantise(self._coefficients, plan.forward, step.extent, step.inverse, self._levels)
        classes = np.full(plan.blocks, ACTIVITY_USUAL, np.uint8)
        if plan.activity:
            _classify(self._levels, step.level, classes)
        values, tables, shifts = _flatten(self._levels, classes, step.extent, step.ratio)
        if plan.activity:
            values = np.concatenate([classes.astype(np.int32) - np.int32(_LARGEST_SYMBOL), values])
            tables = np.concatenate([np.full(plan.blocks, step.activity_table, np.uint8), tables])
            shifts = np.concatenate([np.zeros(plan.blocks, np.uint8), shifts])
        return int(rans.encode(values, tables, shifts, plan.histograms, out))

    def decode(self, step: FeatureStep, data: U8, out: F32) -> int:
        """See `interface.FeatureCoder`."""
        plan = self._plan
        classes = np.full(plan.blocks, ACTIVITY_USUAL, np.uint8)
        activity_tables = np.full(plan.blocks if plan.activity else 0, step.activity_table, np.uint8)
        coding = (plan.histograms, self._starts, self._slots)
        if _read(data, coding, activity_tables, classes, step.extent, step.ratio, self._levels) < 0:
            return _BAD_STREAM
        _restore_channels(self._levels, plan.inverse, step.extent, step.step, self._coefficients)
        _inverse_blocks(self._coefficients, plan.basis, plan.zigzag, self._padded)
        _unscale(self._padded, plan.unscale, plan.mean, plan.rectified, step.floor, out)
        return Status.OK


@compiled
def _descale(product: Any) -> Any:
    """Divide by 2^14, round half up, saturate to 16 bits."""
    return min(max((product + (1 << (_SHIFT - 1))) >> _SHIFT, -32768), 32767)


# Maps to coefficients


@compiled
def _scale(features: F32, mean: F32, scale: F32, padded: I16) -> int:
    """Map in whole steps of its channels, continued by its edges; OK or BAD_FEATURES."""
    channels, height, width = features.shape
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                scaled = (features[c, y, x] - mean[c]) * scale[c]
                if not np.isfinite(scaled):
                    return _BAD_FEATURES
                padded[c, y, x] = np.int16(np.rint(min(max(scaled, np.float32(-16384)), np.float32(16383))))
            padded[c, y, width:] = padded[c, y, width - 1]
        for y in range(height, padded.shape[1]):
            padded[c, y] = padded[c, height - 1]
    return 0


@compiled
def _forward_blocks(padded: I16, basis: I16, zigzag: I32, coefficients: I16) -> None:
    size = len(basis)
    columns = padded.shape[2] // size
    vertical = np.empty((size, size), np.int64)
    for c in range(padded.shape[0]):
        for block in range(coefficients.shape[1]):
            top, left = block // columns * size, block % columns * size
            for k in range(size):
                for j in range(size):
                    total = np.int64(0)
                    for i in range(size):
                        total += np.int64(basis[k, i]) * np.int64(padded[c, top + i, left + j])
                    vertical[k, j] = _descale(total)
            for n in range(size * size):
                k, l = zigzag[n] // size, zigzag[n] % size  # noqa: E741 - as in the documentation
                total = np.int64(0)
                for j in range(size):
                    total += np.int64(basis[l, j]) * vertical[k, j]
                coefficients[n, block, c] = _descale(total)


@compiled
def _quantise(coefficients: I16, forward: I16, extent: U16, inverse: F32, levels: I32) -> None:
    most = np.float32(MAX_VALUE)
    levels[:] = 0
    for n in range(levels.shape[0]):
        for block in range(levels.shape[1]):
            for d in range(extent[n]):
                mixed = np.int64(0)
                for c in range(levels.shape[2]):
                    mixed += np.int64(forward[d, c]) * np.int64(coefficients[n, block, c])
                scaled = np.float32(mixed) * inverse[n, d]
                levels[n, block, d] = np.int32(np.rint(min(max(scaled, -most), most)))


# Levels to bytes and back


@compiled
def _classify(levels: I32, level: int, classes: U8) -> None:
    for block in range(len(classes)):
        total = np.int64(0)
        for n in range(1, levels.shape[0]):
            for d in range(levels.shape[2]):
                total += abs(levels[n, block, d])
        if total == 0:
            classes[block] = ACTIVITY_SKIP
        elif 128 * total > 13 * level:
            classes[block] = ACTIVITY_HIGH
        elif 128 * total < 5 * level:
            classes[block] = ACTIVITY_LOW
        else:
            classes[block] = ACTIVITY_USUAL


@compiled
def _is_coded(n: int, activity: Any) -> bool:
    """Whether a block of that class has coefficients of the n-th frequency."""
    return n == 0 or activity != ACTIVITY_SKIP


@compiled
def _tables(classes: U8, extent: U16, ratio: U8) -> tuple[U8, U8]:
    """Histogram and shift of every value in the order of the bytes."""
    count: Any = 0
    for n in range(len(extent)):
        for block in range(len(classes)):
            count += np.int64(extent[n]) if _is_coded(n, classes[block]) else 0
    tables, shifts = np.empty(count, np.uint8), np.empty(count, np.uint8)
    at: Any = 0
    for n in range(len(extent)):
        for block in range(len(classes)):
            if not _is_coded(n, classes[block]):
                continue
            moved = 4 * (np.int64(classes[block]) - ACTIVITY_USUAL) if n else 0
            for d in range(extent[n]):
                found: Any = min(max(np.int64(ratio[n, d]) + moved, 0), LARGEST_RATIO)
                shift = max(found - _FIRST_SHIFTED, 0) >> 2
                tables[at], shifts[at] = found - 4 * shift, shift
                at += 1
    return tables, shifts


@compiled
def _flatten(levels: I32, classes: U8, extent: U16, ratio: U8) -> tuple[I32, U8, U8]:
    """Values, histograms and shifts in the order of the bytes."""
    tables, shifts = _tables(classes, extent, ratio)
    values = np.empty(len(tables), np.int32)
    at: Any = 0
    for n in range(levels.shape[0]):
        for block in range(levels.shape[1]):
            if _is_coded(n, classes[block]):
                values[at : at + extent[n]] = levels[n, block, : extent[n]]
                at += np.int64(extent[n])
    return values, tables, shifts


@compiled
def _read(data: U8, coding: Any, activity_tables: U8, classes: U8, extent: U16, ratio: U8, levels: I32) -> int:
    """Levels of a payload's body; OK or BAD_STREAM. `coding` are histograms, starts and slots."""
    histograms, starts, slots = coding
    states, cursor = rans.open_stream(data)
    if len(states) == 0:
        return _BAD_STREAM
    if rans.symbols(data, states, cursor, activity_tables, histograms, starts, slots, classes) < 0:
        return _BAD_STREAM
    if classes.max() > ACTIVITY_HIGH:
        return _BAD_STREAM
    tables, shifts = _tables(classes, extent, ratio)
    values = np.empty(len(tables), np.int32)
    if rans.values(data, states, cursor, tables, shifts, histograms, starts, slots, values) < 0:
        return _BAD_STREAM
    _spread(values, classes, extent, levels)
    return 0


@compiled
def _spread(values: I32, classes: U8, extent: U16, levels: I32) -> None:
    """Undo `_flatten`."""
    levels[:] = 0
    at: Any = 0
    for n in range(levels.shape[0]):
        for block in range(levels.shape[1]):
            if _is_coded(n, classes[block]):
                levels[n, block, : extent[n]] = values[at : at + extent[n]]
                at += np.int64(extent[n])


# Coefficients to maps


@compiled
def _restore_channels(levels: I32, inverse: I16, extent: U16, step: F32, coefficients: I16) -> None:
    components = np.empty(levels.shape[2], np.int64)
    for n in range(levels.shape[0]):
        for block in range(levels.shape[1]):
            for d in range(extent[n]):
                sized = np.rint(np.float32(levels[n, block, d]) * step[n, d])
                components[d] = np.int64(min(max(sized, np.float32(-32768)), np.float32(32767)))
            for c in range(levels.shape[2]):
                total = np.int64(0)
                for d in range(extent[n]):
                    total += np.int64(inverse[c, d]) * components[d]
                coefficients[n, block, c] = _descale(total)


@compiled
def _inverse_blocks(coefficients: I16, basis: I16, zigzag: I32, padded: I16) -> None:
    size = len(basis)
    columns = padded.shape[2] // size
    grid, horizontal = np.empty((size, size), np.int64), np.empty((size, size), np.int64)
    for c in range(padded.shape[0]):
        for block in range(coefficients.shape[1]):
            top, left = block // columns * size, block % columns * size
            for n in range(size * size):
                grid[zigzag[n] // size, zigzag[n] % size] = coefficients[n, block, c]
            for k in range(size):
                for j in range(size):
                    total = np.int64(0)
                    for l in range(size):  # noqa: E741 - as in the documentation
                        total += np.int64(basis[l, j]) * grid[k, l]
                    horizontal[k, j] = _descale(total)
            for i in range(size):
                for j in range(size):
                    total = np.int64(0)
                    for k in range(size):
                        total += np.int64(basis[k, i]) * horizontal[k, j]
                    padded[c, top + i, left + j] = _descale(total)


@compiled
def _unscale(padded: I16, unscale: F32, mean: F32, rectified: bool, floor: F32, out: F32) -> None:
    channels, height, width = out.shape
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                value = np.float32(padded[c, y, x]) * unscale[c] + mean[c]
                out[c, y, x] = value if value > floor[c] or not rectified else np.float32(0)
