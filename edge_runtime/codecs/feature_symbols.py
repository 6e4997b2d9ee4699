"""Whole numbers that bring their own histogram: what feature payloads without tables are made of.

A stream is the number of low bits that are sent as they are, a bit per symbol that says which ones have a share,
those shares as uint16, and interleaved rANS (docs/formats/features.md).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.kernels.feature_plan import ESCAPE, PROBABILITY_BITS, SYMBOLS

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_SYMBOL = 15
SLOTS = 1 << PROBABILITY_BITS
# Low bits, and a bit for every symbol that has a share.
HEAD = struct.Struct("<BI")


def pack(values: NDArray[np.int32], shift: int) -> bytes:
    """A stream of values int32 `[n]` in ±32767, of which `shift` low bits are sent as they are."""
    histogram = _histogram(values, shift)
    present = histogram > 0
    shares = histogram[present].astype("<u2").tobytes()
    head = HEAD.pack(shift, int.from_bytes(np.packbits(present, bitorder="little").tobytes(), "little"))
    coded = kernels.rans_encode(values, *_plain(len(values), shift), histogram[np.newaxis])
    return b"".join((head, shares, coded.tobytes()))


def unpack(data: memoryview, count: int) -> NDArray[np.int32]:
    """The `count` values int32 of a stream; raises PayloadError."""
    if len(data) < HEAD.size:
        raise PayloadError(f"features: {len(data)} bytes end inside a histogram")
    shift, present = HEAD.unpack_from(data)
    symbols = [symbol for symbol in range(SYMBOLS) if present >> symbol & 1]
    end = HEAD.size + 2 * len(symbols)
    if len(data) < end:
        raise PayloadError(f"features: {len(data)} bytes end inside a histogram, which ends at byte {end}")
    histograms = np.zeros((1, SYMBOLS), np.uint16)
    histograms[0, symbols] = np.frombuffer(data[HEAD.size : end], "<u2")
    try:
        return kernels.rans_decode(np.frombuffer(data[end:], np.uint8), *_plain(count, shift), histograms)
    except ArgumentError as error:
        raise PayloadError(f"features: a histogram cannot be right: {error}") from None


def _plain(count: int, shift: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Tables and shifts when every value has the same."""
    return np.zeros(count, np.uint8), np.full(count, shift, np.uint8)


def _histogram(values: NDArray[np.int32], shift: int) -> NDArray[np.uint16]:
    """Shares uint16[32] of all slots; zero and the escape always have one."""
    high = (values + ((1 << shift) >> 1)) >> shift
    symbols = np.where(np.abs(high) > LARGEST_SYMBOL, ESCAPE, high + LARGEST_SYMBOL)
    counts = np.bincount(symbols, minlength=SYMBOLS)
    counts[[LARGEST_SYMBOL, ESCAPE]] = np.maximum(counts[[LARGEST_SYMBOL, ESCAPE]], 1)
    return normalise(counts)


def normalise(counts: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Shares uint16 `[n]` of all slots by counts `[n]`; what occurs at all gets at least 1.

    The most frequent one bears the rounding.
    """
    shares = np.maximum(counts * SLOTS // counts.sum(), counts > 0)
    shares[shares.argmax()] += SLOTS - shares.sum()
    return shares.astype(np.uint16)
