"""What a feature payload sends on top when no value may be further off than a bound.

Where the decoded map is too far off, the error follows in units of twice the bound; the few values that this does not
reach, because it is too far or float32 too coarse there, follow as they are.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.codecs import feature_symbols
from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.kernels.feature_plan import MAX_VALUE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

COUNT = struct.Struct("<I")


def to_float32(bound: float) -> np.float32:
    """The largest float32 that is not above the bound; raises ArgumentError unless it is positive and finite."""
    with np.errstate(over="ignore"):
        rounded = np.float32(bound)
    if rounded > bound:
        rounded = np.nextafter(rounded, np.float32(0))
    if not 0 < rounded < np.inf:
        raise ArgumentError(f"bound: {bound} is no positive float32, give the largest error that is allowed")
    return rounded


def encode(features: F32, decoded: F32, bound: np.float32) -> bytes:
    """What brings every value of `decoded` to within `bound` of `features`."""
    error = features.astype(np.float64) - decoded
    levels = np.rint(error / (2 * np.float64(bound)))
    levels = np.where((np.abs(error) > bound) & (np.abs(levels) <= MAX_VALUE), levels, 0).astype(np.int32)
    left = np.abs(_add(decoded, levels, bound).astype(np.float64) - features) > bound
    levels[left] = 0
    places = np.flatnonzero(left)
    return b"".join(
        (
            COUNT.pack(len(places)),
            places.astype("<u4").tobytes(),
            features[left].astype("<f4").tobytes(),
            feature_symbols.pack(levels.reshape(-1), _low_bits(levels)),
        )
    )


def apply(data: memoryview, bound: np.float32, out: F32) -> None:
    """Bring `out`, the decoded map, to within the bound; raises PayloadError."""
    if len(data) < COUNT.size:
        raise PayloadError(f"features: {len(data)} bytes end inside the count of exact values")
    (count,) = COUNT.unpack_from(data)
    end = COUNT.size + 8 * count
    if len(data) < end:
        raise PayloadError(f"features: {len(data)} bytes end inside exact values, which end at byte {end}")
    places = np.frombuffer(data, "<u4", count, COUNT.size).astype(np.int64)
    values = np.frombuffer(data, "<f4", count, COUNT.size + 4 * count)
    if count and not (places[-1] < out.size and (np.diff(places) > 0).all() and np.isfinite(values).all()):
        raise PayloadError("features: exact values must be finite, in ascending order, and inside the map")
    levels = feature_symbols.unpack(data[end:], out.size)
    out[:] = _add(out, levels.reshape(out.shape), bound)
    out.reshape(-1)[places] = values


def _add(decoded: F32, levels: NDArray[np.int32], bound: np.float32) -> F32:
    """Decoded values moved by levels of twice the bound; those of level 0 stay as they are."""
    with np.errstate(over="ignore"):
        return (decoded + levels * (2 * np.float64(bound))).astype(np.float32)


def _low_bits(levels: NDArray[np.int32]) -> int:
    """Low bits to send as they are, so that usual magnitudes need no escape."""
    return max(int(np.abs(levels).mean()).bit_length() - 2, 0)
