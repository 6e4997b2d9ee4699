"""Feature maps without tables: as float16, uniformly quantised, or with exact zeros told apart first.

Bodies only; their container is `features`. Steps and values are float32 in single operations, so every CPU decodes the
same. Non-zero values have equal steps: log-spaced ones, at the same bytes, cost maps after a ReLU several dB.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import feature_symbols
from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.kernels.feature_plan import SYMBOLS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

LARGEST_HALF = 65504
LARGEST = 1e38
"""Beyond it, a range of values might leave float32."""
MAX_BITS = 12
CODED_BITS = 5
# Least value and step.
SCALE = struct.Struct("<ff")
LENGTH = struct.Struct("<I")
# All shares but the escape's, and how many of them other values than zero have in a channel of each density class.
CERTAIN = feature_symbols.SLOTS - 1
NONZERO_SHARES = np.array([1, 2, 8, 24, 56, 112, 192, 288, 416, 544, 672, 792, 888, 960, 1008, 1022], np.uint16)


def encode_half(features: F32) -> bytes:
    """Little-endian float16; raises ArgumentError for a value that it cannot hold."""
    with np.errstate(over="ignore"):
        half = features.astype("<f2")
    if not np.isfinite(half).all():
        bad = features[~np.isfinite(half)][0]
        raise ArgumentError(f"features: {bad} is not within float16's ±{LARGEST_HALF}, use another method")
    return half.tobytes()


def decode_half(data: memoryview, out: F32) -> None:
    """Undo `encode_half`; raises PayloadError."""
    if len(data) != 2 * out.size:
        raise PayloadError(f"features: {len(data)} bytes of float16, a map of {out.size} values has {2 * out.size}")
    half = np.frombuffer(data, "<f2")
    if not np.isfinite(half).all():
        raise PayloadError("features: holds NaN or inf, which no encoder writes")
    out[:] = half.reshape(out.shape)


def encode_uniform(values: F32, bits: int) -> bytes:
    """Least value, step, and the levels of values of any shape; raises ArgumentError for values beyond ±1e38."""
    low, high = (values.min(), values.max()) if values.size else (np.float32(0), np.float32(0))
    if not -LARGEST <= low <= high <= LARGEST:
        raise ArgumentError(f"features: values from {low} to {high}, pass finite ones within ±{LARGEST:g}")
    shift, levels = _levels(bits)
    step = (high - low) / np.float32(levels - 1)
    scaled = values.reshape(-1) - low
    scaled /= step or np.float32(1)
    places = np.minimum(np.rint(scaled), levels - 1).astype(np.int32)
    return SCALE.pack(low, step) + feature_symbols.pack(places - _centre(shift), shift)


def decode_uniform(data: memoryview, bits: int, count: int) -> F32:
    """Undo `encode_uniform`: float32 `[count]`; raises PayloadError."""
    if len(data) < SCALE.size:
        raise PayloadError(f"features: {len(data)} bytes end inside least value and step")
    shift, levels = _levels(bits)
    low, step = map(np.float32, SCALE.unpack_from(data))
    with np.errstate(over="ignore"):
        high = low + step * np.float32(levels - 1)
    if not (np.isfinite(low) and np.isfinite(high) and step >= 0):
        raise PayloadError(f"features: values from {low} in steps of {step} leave float32")
    places = feature_symbols.unpack(data[SCALE.size :], count) + _centre(shift)
    if count and not 0 <= places.min() <= places.max() < levels:
        raise PayloadError(f"features: a level is outside 0..{levels - 1}")
    values = places.astype(np.float32)
    values *= step
    values += low
    return values


def encode_sparse(features: F32, bits: int) -> bytes:
    """Density classes, zero flags, then the other values; raises ArgumentError as `encode_uniform` does."""
    flags = (features != 0).reshape(len(features), -1)
    classes = _density_classes(flags)
    coded = kernels.rans_encode(flags.reshape(-1).astype(np.int32), *_flag_tables(classes, flags.shape[1]))
    nibbles = np.pad(classes, (0, len(classes) % 2))
    packed = (nibbles[::2] | nibbles[1::2] << 4).tobytes()
    values = encode_uniform(features[features != 0], bits)
    return b"".join((packed, LENGTH.pack(len(coded)), coded.tobytes(), values))


def decode_sparse(data: memoryview, bits: int, out: F32) -> None:
    """Undo `encode_sparse`; raises PayloadError."""
    channels, area = len(out), out[0].size
    start = (channels + 1) // 2
    if len(data) < start + LENGTH.size:
        raise PayloadError(f"features: {len(data)} bytes end inside the density of {channels} channels")
    packed = np.frombuffer(data[:start], np.uint8)
    classes = np.stack((packed & 15, packed >> 4), axis=1).reshape(-1)
    if classes[channels:].any():
        raise PayloadError("features: the nibble after the last channel's must be zero")
    (length,) = LENGTH.unpack_from(data, start)
    start += LENGTH.size
    if len(data) < start + length:
        raise PayloadError(f"features: {len(data)} bytes end inside zero flags, which end at byte {start + length}")
    coded = np.frombuffer(data[start : start + length], np.uint8)
    flags = kernels.rans_decode(coded, *_flag_tables(classes[:channels], area))
    if not 0 <= flags.min() <= flags.max() <= 1:
        raise PayloadError("features: a zero flag is neither 0 nor 1")
    where = flags.astype(bool).reshape(out.shape)
    out[:] = 0
    out[where] = decode_uniform(data[start + length :], bits, int(np.count_nonzero(where)))


def _levels(bits: int) -> tuple[int, int]:
    """Low bits that are sent as they are, and the number of levels."""
    if bits < CODED_BITS:
        return 0, 1 << bits
    # All 31 values of the coder's alphabet, each for a run of levels.
    return bits - CODED_BITS, 31 << (bits - CODED_BITS)


def _centre(shift: int) -> int:
    """The level that is coded as 0."""
    return (feature_symbols.LARGEST_SYMBOL << shift) + ((1 << shift) >> 1)


def _density_classes(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The class of each channel whose share is nearest to that of its non-zero values."""
    counts = np.count_nonzero(flags, axis=1).astype(np.int64)
    wanted, offered = CERTAIN * counts[:, np.newaxis], NONZERO_SHARES.astype(np.int64) * flags.shape[1]
    classes: NDArray[np.uint8] = np.abs(wanted - offered).argmin(axis=1).astype(np.uint8)
    return classes


def _flag_tables(
    classes: NDArray[np.uint8], area: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint16]]:
    """Tables, shifts and histograms for the flags of channels of `area` values: 0 is a zero, 1 another value."""
    histograms = np.zeros((len(NONZERO_SHARES), SYMBOLS), np.uint16)
    zero = feature_symbols.LARGEST_SYMBOL
    histograms[:, zero], histograms[:, zero + 1], histograms[:, -1] = CERTAIN - NONZERO_SHARES, NONZERO_SHARES, 1
    return np.repeat(classes, area), np.zeros(len(classes) * area, np.uint8), histograms
