"""The tables of one cut: what calibration learned about a feature map, as encoder and decoder need it.

A tables file is msgpack (docs/formats/features.md). Bytes depend on its integers and on float32 values that take part
in single operations, so every CPU makes the same ones from it.
"""

from __future__ import annotations

import zlib
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np

from edge_runtime.errors import BundleError
from edge_runtime.kernels.feature_plan import (
    LANES,
    LARGEST_RATIO,
    PROBABILITY_BITS,
    RATIOS,
    SYMBOLS,
    FeaturePlan,
    FeatureStep,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 1
QUALITIES = 101
"""Qualities 0..100, finer upwards: each divides the step by the eighth root of two."""
ACTIVITY_TABLES = 13
"""Histograms of block classes, one per eight qualities."""
MAX_SIDE = 1024
MAX_VALUES = 1 << 23
MAX_BLOCK = 8
# 2^(n/8), to be scaled by powers of two, which is exact.
EIGHTHS = np.array([1.0, 1.0905077, 1.1892071, 1.2968396, 1.4142135, 1.5422108, 1.6817929, 1.8340081], np.float32)

Side = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIDE)]


class RatePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one quality gave on the calibration photos: mean payload bytes, share of answers kept, mean logit drift."""

    quality: int
    bytes: float
    agreement: float
    drift: float


class FeatureTables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about one cut; arrays are little-endian bytes, C order.

    mean, scale, unscale float32[C]; basis int16[B, B]; forward, inverse int16[C, C]; step_exponent int16[K, C], a
    component's step in eighths of octaves at quality 0, on the encoder's scale; gain int16[C], by how much the
    decoder's scale is coarser; magnitude int16[K, C], expected magnitude over step at quality 0 in eighths of octaves;
    histograms uint16[28 + 13, 32]; levels uint32[101], see `FeatureStep`; bytes_at uint32[101], mean payload by
    quality. floor int16[C] and floor_at int16[101], both or neither, for rectified maps: eighths of octaves that, added
    up, give what a value must be above. ``drift_factor`` bounds, for 99 % of the calibration maps, the distance of
    logits by that of features.
    """

    version: int
    channels: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    height: Side
    width: Side
    block: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOCK)]
    rectified: bool
    activity: bool
    mean: bytes
    scale: bytes
    unscale: bytes
    basis: bytes
    forward: bytes
    inverse: bytes
    step_exponent: bytes
    gain: bytes
    magnitude: bytes
    histograms: bytes
    levels: bytes
    bytes_at: bytes
    drift_factor: float
    rates: tuple[RatePoint, ...]
    floor: bytes = b""
    floor_at: bytes = b""


def array(data: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Little-endian bytes as an array in this machine's order."""
    stored = np.dtype(dtype).newbyteorder("<")
    return np.frombuffer(data, stored).astype(np.dtype(dtype)).reshape(shape)


class Tables:
    """A tables file, checked: nothing in it can make a coder overflow or leave its arrays."""

    def __init__(self, data: bytes) -> None:
        self.stored = _parse(data)
        self.identity = zlib.crc32(data)
        self.plan = _plan(self.stored)
        # A step is a megabyte at the widest cuts; rate control moves between neighbours.
        self.step = lru_cache(maxsize=16)(self._step)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.plan.channels, self.plan.height, self.plan.width

    @cached_property
    def bytes_at(self) -> NDArray[np.uint32]:
        """Mean payload bytes by quality, uint32[101], rising."""
        return array(self.stored.bytes_at, "u4", (QUALITIES,))

    @cached_property
    def _exponents(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        grid = (self.plan.frequencies, self.plan.channels)
        return (
            array(self.stored.step_exponent, "i2", grid).astype(np.int32),
            array(self.stored.gain, "i2", (self.plan.channels,)).astype(np.int32),
            array(self.stored.magnitude, "i2", grid).astype(np.int32),
        )

    def _step(self, quality: int) -> FeatureStep:
        exponent, gain, magnitude = self._exponents
        # What is expected below 2^-2.5 steps is not coded: at these rates its bits are better spent elsewhere.
        coded = magnitude + quality + 20 >= 0
        extent = np.where(coded, np.arange(1, self.plan.channels + 1), 0).max(axis=1)
        extent[0] = max(extent[0], 1)
        return FeatureStep(
            extent=extent.astype(np.uint16),
            inverse=power(quality - exponent),
            step=power(exponent - quality - gain),
            floor=self._floor(quality),
            # Ratio 0 stands for 2^-4 steps.
            ratio=np.clip((magnitude + quality + 32) >> 1, 0, LARGEST_RATIO).astype(np.uint8),
            level=int(array(self.stored.levels, "u4", (QUALITIES,))[quality]),
            activity_table=RATIOS + quality // 8,
        )


    def _floor(self, quality: int) -> NDArray[np.float32]:
        if not self.stored.floor:
            return np.zeros(self.plan.channels, np.float32)
        by_channel = array(self.stored.floor, "i2", (self.plan.channels,)).astype(np.int32)
        return power(by_channel + int(array(self.stored.floor_at, "i2", (QUALITIES,))[quality]))


def power(eighths: NDArray[np.int32]) -> NDArray[np.float32]:
    """2^(n/8), float32, the same everywhere."""
    return np.ldexp(EIGHTHS[eighths & 7], eighths >> 3).astype(np.float32)


def _parse(data: bytes) -> FeatureTables:
    try:
        tables = msgspec.msgpack.decode(data, type=FeatureTables)
    except msgspec.DecodeError as error:
        raise BundleError(f"tables: {len(data)} bytes are no feature tables: {error}") from None
    if tables.version != VERSION:
        raise BundleError(f"tables: version {tables.version} is unknown, this decoder reads {VERSION}")
    size = tables.channels * tables.height * tables.width
    if size > MAX_VALUES:
        raise BundleError(f"tables: a map of {size} values is larger than {MAX_VALUES}, cut the network later")
    for name, expected in _sizes(tables).items():
        found = len(getattr(tables, name))
        if found != expected:
            raise BundleError(f"tables: {name} has {found} bytes, needs {expected}")
    return tables


def _sizes(tables: FeatureTables) -> dict[str, int]:
    channels, frequencies = tables.channels, tables.block**2
    return {
        "mean": 4 * channels,
        "scale": 4 * channels,
        "unscale": 4 * channels,
        "basis": 2 * frequencies,
        "forward": 2 * channels**2,
        "inverse": 2 * channels**2,
        "step_exponent": 2 * frequencies * channels,
        "gain": 2 * channels,
        "magnitude": 2 * frequencies * channels,
        "histograms": 2 * (RATIOS + ACTIVITY_TABLES) * SYMBOLS,
        "levels": 4 * QUALITIES,
        "bytes_at": 4 * QUALITIES,
        **({"floor": 2 * channels, "floor_at": 2 * QUALITIES} if tables.floor or tables.floor_at else {}),
    }


def _plan(tables: FeatureTables) -> FeaturePlan:
    channels, block = tables.channels, tables.block
    plan = FeaturePlan(
        channels=channels,
        height=tables.height,
        width=tables.width,
        block=block,
        rectified=tables.rectified,
        activity=tables.activity and block > 1,
        mean=array(tables.mean, "f4", (channels,)),
        scale=array(tables.scale, "f4", (channels,)),
        unscale=array(tables.unscale, "f4", (channels,)),
        basis=array(tables.basis, "i2", (block, block)),
        forward=array(tables.forward, "i2", (channels, channels)),
        inverse=array(tables.inverse, "i2", (channels, channels)),
        histograms=array(tables.histograms, "u2", (RATIOS + ACTIVITY_TABLES, SYMBOLS)),
    )
    _check_ranges(plan, tables)
    return plan


def _check_ranges(plan: FeaturePlan, tables: FeatureTables) -> None:
    """32-bit sums of 16-bit products may not overflow, and no state may divide by zero."""
    matrices = (("basis", plan.basis), ("basis", plan.basis.T), ("forward", plan.forward), ("inverse", plan.inverse))
    for name, matrix in matrices:
        if np.abs(matrix.astype(np.int64)).sum(axis=1).max() > 65535:
            raise BundleError(f"tables: a row of {name} sums to more than 65535, calibrate again")
    if (plan.histograms.sum(axis=1, dtype=np.int64) != 1 << PROBABILITY_BITS).any():
        raise BundleError("tables: a histogram does not sum to 1024, calibrate again")
    if plan.histograms.max() == 1 << PROBABILITY_BITS or plan.histograms[:RATIOS, -1].min() == 0:
        raise BundleError("tables: a histogram has one certain symbol or no escape, calibrate again")
    if plan.histograms[RATIOS:, LANES:].any() or plan.histograms[RATIOS:, :LANES].min() == 0:
        raise BundleError("tables: a histogram of block classes must give each of the four, and no other, a share")
    for name in ("mean", "scale", "unscale"):
        if not np.isfinite(getattr(plan, name)).all():
            raise BundleError(f"tables: {name} is not finite, calibrate again")
    exponents = array(tables.step_exponent, "i2", (-1,)).astype(int)
    small = [array(values, "i2", (-1,)).astype(int) for values in (tables.gain, tables.floor, tables.floor_at)]
    if max(np.abs(values).max(initial=0) for values in (exponents, *small)) > 400:
        raise BundleError("tables: a step or floor is beyond 2^±50, calibrate again")
