"""The feature coder in NumPy: the oracle, and the floor where nothing else runs.

The transforms are whole-array integer products; the entropy coder is plain Python, one symbol after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.kernels import reference_rans as rans
from edge_runtime.kernels.feature_plan import (
    ACTIVITY_HIGH,
    ACTIVITY_LOW,
    ACTIVITY_SKIP,
    ACTIVITY_USUAL,
    LARGEST_RATIO,
    MAX_VALUE,
    FeaturePlan,
    FeatureStep,
)
from edge_runtime.kernels.interface import Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.kernels.interface import F32, U8

INPUT_LOW, INPUT_HIGH = np.float32(-16384), np.float32(16383)
SHIFT = 14


class FeatureCoder:
    """See `interface.FeatureCoder`."""

    def __init__(self, plan: FeaturePlan) -> None:
        self._plan = plan
        # Products of 16-bit integers, summed 32 bits wide, are exact in double: NumPy's fast path for matrices.
        self._basis = plan.basis.astype(np.float64)
        self._forward = plan.forward.astype(np.float64)
        self._inverse = plan.inverse.astype(np.float64)
        self._coefficients = np.zeros((plan.frequencies, plan.blocks, plan.channels))

    def transform(self, features: F32) -> int:
        """See `interface.FeatureCoder`."""
        plan = self._plan
        shape = (plan.channels, plan.rows * plan.block, plan.columns * plan.block)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (features - plan.mean[:, None, None]) * plan.scale[:, None, None]
        if not np.isfinite(scaled).all():
            return Status.BAD_FEATURES
        whole = np.rint(np.clip(scaled, INPUT_LOW, INPUT_HIGH)).astype(np.float64)
        padding = [(0, padded - size) for padded, size in zip(shape, whole.shape, strict=True)]
        blocks = np.pad(whole, padding, mode="edge").reshape(
            plan.channels, plan.rows, plan.block, plan.columns, plan.block
        )
        vertical = _descale(np.einsum("ki,crisj->crksj", self._basis, blocks))
        both = _descale(np.einsum("lj,crksj->klrsc", self._basis, vertical))
        self._coefficients = both.reshape(plan.frequencies, plan.blocks, plan.channels)[plan.zigzag]
        return Status.OK

    def quantise(self, step: FeatureStep) -> NDArray[np.int32]:
        """Levels int32 `[K, blocks, C]` of the last transform; zero beyond each frequency's extent."""
        mixed = (self._coefficients @ self._forward.T).astype(np.int32)
        scaled = mixed.astype(np.float32) * step.inverse[:, None, :]
        levels = np.rint(np.clip(scaled, np.float32(-MAX_VALUE), np.float32(MAX_VALUE))).astype(np.int32)
        return np.where(_within(step), levels, np.int32(0))

    def encode(self, step: FeatureStep, out: U8) -> int:
        """See `interface.FeatureCoder`."""
        plan = self._plan
        levels = self.quantise(step)
        classes = activity_classes(levels, step.level) if plan.activity else _usual(plan)
        values, ratios = flatten(levels, classes, step)
        tables, shifts = split_ratios(ratios)
        if plan.activity:
            values = np.concatenate([classes - rans.LARGEST_SYMBOL, values])
            tables = np.concatenate([np.full(plan.blocks, step.activity_table), tables])
            shifts = np.concatenate([np.zeros(plan.blocks, np.int64), shifts])
        data = rans.encode(values, tables, shifts, plan.histograms)
        if len(data) > len(out):
            return Status.BAD_SIZE
        out[: len(data)] = np.frombuffer(data, np.uint8)
        return len(data)

    def decode(self, step: FeatureStep, data: U8, out: F32) -> int:
        """See `interface.FeatureCoder`."""
        try:
            levels = self._read(step, data.tobytes())
        except rans.BadStream:
            return Status.BAD_STREAM
        self.reconstruct(levels, step, out)
        return Status.OK

    def reconstruct(self, levels: NDArray[np.int32], step: FeatureStep, out: F32) -> None:
        """The map float32 `[C, H, W]` that levels `[K, blocks, C]` stand for."""
        plan = self._plan
        sized = np.rint(levels.astype(np.float32) * step.step[:, None, :])
        components = np.clip(sized, -32768, 32767).astype(np.float64)
        coefficients = np.empty_like(components)
        coefficients[plan.zigzag] = _descale(components @ self._inverse.T)
        grid = coefficients.reshape(plan.block, plan.block, plan.rows, plan.columns, plan.channels)
        horizontal = _descale(np.einsum("lj,klrsc->krsjc", self._basis, grid))
        whole = _descale(np.einsum("ki,krsjc->crisj", self._basis, horizontal))
        whole = whole.reshape(plan.channels, plan.rows * plan.block, plan.columns * plan.block)
        whole = whole[:, : plan.height, : plan.width].astype(np.float32)
        np.multiply(whole, plan.unscale[:, None, None], out=out)
        out += plan.mean[:, None, None]
        if plan.rectified:
            out[~(out > step.floor[:, None, None])] = 0

    def _read(self, step: FeatureStep, data: bytes) -> NDArray[np.int32]:
        plan = self._plan
        stream = rans.Decoder(data, plan.histograms)
        classes = _usual(plan)
        if plan.activity:
            classes = stream.symbols(np.full(plan.blocks, step.activity_table))
            if classes.max() > ACTIVITY_HIGH:
                raise rans.BadStream
        where = _coded(classes, step)
        tables, shifts = split_ratios(_ratios(classes, step)[where])
        levels = np.zeros(where.shape, np.int32)
        levels[where] = stream.values(tables, shifts)
        return levels


def activity_classes(levels: NDArray[np.int32], level: int) -> NDArray[np.int64]:
    """Class of each block, from the magnitudes of all but its lowest frequency."""
    sums = np.abs(levels[1:]).sum(axis=(0, 2), dtype=np.int64) * 128
    classes = np.full(len(sums), ACTIVITY_USUAL)
    classes[sums < 5 * level] = ACTIVITY_LOW
    classes[sums > 13 * level] = ACTIVITY_HIGH
    classes[sums == 0] = ACTIVITY_SKIP
    return classes


def flatten(
    levels: NDArray[np.int32], classes: NDArray[np.int64], step: FeatureStep
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Values in the order in which they are coded, and the ratio of each."""
    where = _coded(classes, step)
    return levels[where], _ratios(classes, step)[where]


def split_ratios(ratios: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Histogram and number of low bits that are sent as they are."""
    shifts = np.maximum(ratios - 24, 0) >> 2
    return ratios - 4 * shifts, shifts


def _usual(plan: FeaturePlan) -> NDArray[np.int64]:
    return np.full(plan.blocks, ACTIVITY_USUAL)


def _coded(classes: NDArray[np.int64], step: FeatureStep) -> NDArray[np.bool_]:
    """Which of `[K, blocks, C]` are coded: components within the extent; in a skipped block the lowest frequency."""
    sent = (classes != ACTIVITY_SKIP)[None, :, None] | (np.arange(len(step.extent)) == 0)[:, None, None]
    coded: NDArray[np.bool_] = _within(step) & sent
    return coded


def _within(step: FeatureStep) -> NDArray[np.bool_]:
    """Which components of a frequency are coded at all, [K, 1, C]."""
    within: NDArray[np.bool_] = np.arange(step.ratio.shape[1]) < step.extent[:, None, None]
    return within


def _ratios(classes: NDArray[np.int64], step: FeatureStep) -> NDArray[np.int64]:
    """Ratio of every coefficient `[K, blocks, C]`: the expected one, moved by the block's class."""
    moved = 4 * (classes - ACTIVITY_USUAL)[None, :, None] * (np.arange(len(step.ratio)) > 0)[:, None, None]
    return np.clip(step.ratio[:, None, :].astype(np.int64) + moved, 0, LARGEST_RATIO)


def _descale(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide by 2^14, round half up, saturate to 16 bits; exact in double."""
    whole: NDArray[np.float64] = np.clip(np.floor((products + (1 << (SHIFT - 1))) / (1 << SHIFT)), -32768, 32767)
    return whole
