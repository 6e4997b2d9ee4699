"""Interleaved rANS in Numba: the bytes of `reference_rans`, one symbol after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.kernels.feature_plan import (
    ESCAPE,
    LANES,
    MAX_VALUE,
    PROBABILITY_BITS,
    STATE_BITS,
    STATE_FLOOR,
    SYMBOLS,
)
from edge_runtime.kernels.interface import Status
from edge_runtime.kernels.jit_compile import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.kernels.interface import I32, U8, U16

_BAD_SIZE = int(Status.BAD_SIZE)
_BAD_STREAM = int(Status.BAD_STREAM)
_SLOTS = 1 << PROBABILITY_BITS
_LARGEST_SYMBOL = 15
_LENGTH_BITS = 4
# Where a reader stands: coded symbols, then bytes; and how many numbers that are.
_CODED, _AT, _CURSOR = 0, 1, 2


@compiled
def starts_of(histograms: U16) -> I32:
    """First slot of each symbol, int32[n, 32]."""
    starts = np.zeros(histograms.shape, np.int32)
    for table in range(histograms.shape[0]):
        for symbol in range(1, SYMBOLS):
            starts[table, symbol] = starts[table, symbol - 1] + histograms[table, symbol - 1]
    return starts


@compiled
def slots_of(histograms: U16) -> U8:
    """Symbol of each slot, uint8[n, slots]."""
    slots = np.empty((histograms.shape[0], _SLOTS), np.uint8)
    for table in range(histograms.shape[0]):
        at = 0
        for symbol in range(SYMBOLS):
            slots[table, at : at + histograms[table, symbol]] = symbol
            at += histograms[table, symbol]
    return slots


# Writing


@compiled
def encode(values: I32, tables: U8, shifts: U8, histograms: U16, out: U8) -> int:
    """See `interface.Backend.rans_encode`."""
    symbols = np.empty(len(values), np.uint8)
    raw_bits = _symbols(values, tables, shifts, histograms, symbols)
    states, words, count = _code(symbols, tables, histograms)
    raw_start = 4 * LANES + 2 * count
    size: int = raw_start + (raw_bits + 7) // 8
    if size > len(out):
        return _BAD_SIZE
    for lane in range(LANES):
        put_bits(out, 32 * lane, states[lane], 32)
    for i in range(count):
        put_bits(out, 32 * LANES + 16 * i, np.int64(words[count - 1 - i]), 16)
    _raw(values, shifts, symbols, out[raw_start:size])
    return size


@compiled
def _symbols(values: I32, tables: U8, shifts: U8, histograms: U16, symbols: U8) -> Any:
    """Symbol of each value; the number of raw bits behind them all."""
    raw_bits: Any = 0
    for i in range(len(values)):
        shift = np.int64(shifts[i])
        high = (np.int64(values[i]) + ((1 << shift) >> 1)) >> shift
        symbol: Any = high + _LARGEST_SYMBOL
        if abs(high) > _LARGEST_SYMBOL or histograms[tables[i], symbol] == 0:
            symbol = ESCAPE
            length = _length(abs(high))
            raw_bits += _LENGTH_BITS + length
        raw_bits += shift
        symbols[i] = symbol
    return raw_bits


@compiled
def _length(magnitude: Any) -> int:
    """Bits up to the leading one."""
    length = 0
    while magnitude >> length:
        length += 1
    return length


@compiled
def _code(symbols: U8, tables: U8, histograms: U16) -> tuple[NDArray[np.int64], U16, int]:
    """Last states and the words, in the order in which they were moved, with their number."""
    starts = starts_of(histograms)
    states = np.full(LANES, STATE_FLOOR, np.int64)
    words = np.empty(len(symbols), np.uint16)
    count = 0
    for i in range(len(symbols) - 1, -1, -1):
        frequency = np.int64(histograms[tables[i], symbols[i]])
        state = states[i % LANES]
        if state >= frequency << (STATE_BITS - PROBABILITY_BITS):
            words[count] = state & 0xFFFF
            count += 1
            state >>= 16
        states[i % LANES] = (state // frequency << PROBABILITY_BITS) + state % frequency + starts[tables[i], symbols[i]]
    return states, words, count


@compiled
def _raw(values: I32, shifts: U8, symbols: U8, out: U8) -> None:
    """Escapes and low bits."""
    out[:] = 0
    at = 0
    for i in range(len(values)):
        shift = np.int64(shifts[i])
        half = (1 << shift) >> 1
        high = (np.int64(values[i]) + half) >> shift
        if symbols[i] == ESCAPE:
            at = _put_escape(out, at, high)
        at = put_bits(out, at, np.int64(values[i]) - (high << shift) + half, shift)


@compiled
def _put_escape(out: U8, at: int, value: Any) -> int:
    magnitude = abs(value)
    length = _length(magnitude)
    at = put_bits(out, at, length, _LENGTH_BITS)
    if length == 0:
        return at
    at = put_bits(out, at, magnitude - (1 << (length - 1)), length - 1)
    return put_bits(out, at, np.int64(value < 0), 1)


@compiled
def put_bits(out: U8, at: int, value: Any, count: Any) -> int:
    """Write bits at a bit position, the least significant first; the position after them."""
    for _ in range(count):
        if at % 8 == 0:
            out[at // 8] = 0
        out[at // 8] |= np.uint8((value & 1) << (at % 8))
        value >>= 1
        at += 1
    return at


# Reading


@compiled
def decode(data: U8, tables: U8, shifts: U8, histograms: U16, out: I32) -> int:
    """See `interface.Backend.rans_decode`."""
    states, cursor = open_stream(data)
    if len(states) == 0:
        return _BAD_STREAM
    starts, slots = starts_of(histograms), slots_of(histograms)
    return values(data, states, cursor, tables, shifts, histograms, starts, slots, out)


@compiled
def open_stream(data: U8) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """States and cursor; no states at all where the bytes hold none that an encoder leaves."""
    states = np.zeros(LANES, np.int64)
    cursor = np.zeros(_CURSOR, np.int64)
    cursor[_AT] = 4 * LANES
    if len(data) < 4 * LANES:
        return states[:0], cursor
    for lane in range(LANES):
        for byte in range(4):
            states[lane] |= np.int64(data[4 * lane + byte]) << (8 * byte)
        if not STATE_FLOOR <= states[lane] < 1 << STATE_BITS:
            return states[:0], cursor
    return states, cursor


@compiled
def symbols(data: U8, states: Any, cursor: Any, tables: U8, histograms: U16, starts: I32, slots: U8, out: U8) -> int:
    """The next symbols, one per table; OK or BAD_STREAM."""
    for i in range(len(tables)):
        lane = cursor[_CODED] % LANES
        state = states[lane]
        slot = state % _SLOTS
        symbol = slots[tables[i], slot]
        frequency = np.int64(histograms[tables[i], symbol])
        state = frequency * (state >> PROBABILITY_BITS) + slot - starts[tables[i], symbol]
        if state < STATE_FLOOR:
            at = cursor[_AT]
            if at + 2 > len(data):
                return _BAD_STREAM
            state = state << 16 | np.int64(data[at]) | np.int64(data[at + 1]) << 8
            cursor[_AT] = at + 2
        states[lane] = state
        cursor[_CODED] += 1
        out[i] = symbol
    return 0


@compiled
def values(
    data: U8,
    states: Any,
    cursor: Any,
    tables: U8,
    shifts: U8,
    histograms: U16,
    starts: I32,
    slots: U8,
    out: I32,
) -> int:
    """The values behind the last symbols; nothing may be left of the bytes after them. OK or BAD_STREAM."""
    found = np.empty(len(tables), np.uint8)
    if symbols(data, states, cursor, tables, histograms, starts, slots, found) < 0:
        return _BAD_STREAM
    for lane in range(LANES):
        if states[lane] != STATE_FLOOR:
            return _BAD_STREAM
    return _read_raw(data[cursor[_AT] :], found, shifts, out)


@compiled
def _read_raw(raw: U8, found: U8, shifts: U8, out: I32) -> int:
    at: Any = 0
    for i in range(len(found)):
        shift = np.int64(shifts[i])
        high: Any = np.int64(found[i]) - _LARGEST_SYMBOL
        if found[i] == ESCAPE:
            at, high = _take_escape(raw, at)
        at, low = take_bits(raw, at, shift)
        value = (high << shift) + low - ((1 << shift) >> 1)
        if at < 0 or abs(value) > MAX_VALUE:
            return _BAD_STREAM
        out[i] = value
    # Only the padding of the last byte may be left, and it is zero.
    if len(raw) != (at + 7) // 8 or (at % 8 and raw[at // 8] >> (at % 8)):
        return _BAD_STREAM
    return 0


@compiled
def _take_escape(raw: U8, at: int) -> tuple[Any, Any]:
    at, length = take_bits(raw, at, _LENGTH_BITS)
    if length == 0:
        return at, 0
    at, below = take_bits(raw, at, length - 1)
    at, sign = take_bits(raw, at, 1)
    magnitude = (1 << (length - 1)) + below
    return at, -magnitude if sign else magnitude


@compiled
def take_bits(raw: U8, at: int, count: Any) -> tuple[Any, Any]:
    """The position after `count` bits and their value; a position of −1 says that they ended before."""
    if at < 0 or at + count > 8 * len(raw):
        return -1, 0
    value: Any = 0
    for i in range(count):
        value |= ((np.int64(raw[(at + i) // 8]) >> ((at + i) % 8)) & 1) << i
    return at + count, value
