"""Interleaved rANS with static tables, in plain Python (Duda 2013; Giesen, "Interleaved entropy coders", 2014).

Four 32-bit states take the symbols in turn; 16-bit words are moved when a state would leave 2^15..2^31. Raw bits
(escapes and low bits) follow the words.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.kernels.feature_plan import (
    ESCAPE,
    LANES,
    MAX_VALUE,
    PROBABILITY_BITS,
    STATE_BITS,
    STATE_FLOOR,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.kernels.interface import U16

SLOTS = 1 << PROBABILITY_BITS
LARGEST_SYMBOL = 15


class BadStream(Exception):  # noqa: N818 - becomes a status
    """The bytes are not what an encoder writes."""


def encode(
    values: NDArray[np.int32], tables: NDArray[np.int64], shifts: NDArray[np.int64], histograms: U16
) -> bytes:
    """Code each value with its table; its `shift` low bits are sent as they are."""
    raw = _Bits()
    symbols = []
    frequencies = histograms.tolist()
    for value, table, shift in zip(values.tolist(), tables.tolist(), shifts.tolist(), strict=True):
        half = (1 << shift) >> 1
        high = (value + half) >> shift
        symbol = high + LARGEST_SYMBOL
        if abs(high) > LARGEST_SYMBOL or frequencies[table][symbol] == 0:
            symbol = ESCAPE
            raw.escape(high)
        raw.put(value - (high << shift) + half, shift)
        symbols.append(symbol)
    return _code(symbols, tables.tolist(), histograms) + raw.tobytes()


def _code(symbols: list[int], tables: list[int], histograms: U16) -> bytes:
    frequencies = histograms.tolist()
    starts = _starts(histograms).tolist()
    states = [STATE_FLOOR] * LANES
    words = []
    for index in range(len(symbols) - 1, -1, -1):
        table, symbol = tables[index], symbols[index]
        frequency = frequencies[table][symbol]
        state = states[index % LANES]
        if state >= frequency << (STATE_BITS - PROBABILITY_BITS):
            words.append(state & 0xFFFF)
            state >>= 16
        states[index % LANES] = (state // frequency << PROBABILITY_BITS) + state % frequency + starts[table][symbol]
    return struct.pack(f"<{LANES}I{len(words)}H", *states, *reversed(words))


class Decoder:
    """Reads symbols, then the raw bits behind them; raises `BadStream`."""

    def __init__(self, data: bytes, histograms: U16) -> None:
        if len(data) < 4 * LANES:
            raise BadStream
        self._data = data
        self._states = list(struct.unpack_from(f"<{LANES}I", data))
        if not all(STATE_FLOOR <= state < 1 << STATE_BITS for state in self._states):
            raise BadStream
        self._at = 4 * LANES
        self._coded = 0
        self._frequencies = histograms.tolist()
        self._starts = _starts(histograms).tolist()
        self._slots = [np.repeat(np.arange(len(row)), row).tolist() for row in histograms]

    def symbols(self, tables: NDArray[np.int64]) -> NDArray[np.int64]:
        """The next symbols, one per table."""
        found = []
        for table in tables.tolist():
            lane = self._coded % LANES
            state = self._states[lane]
            slot = state % SLOTS
            symbol = self._slots[table][slot]
            state = self._frequencies[table][symbol] * (state >> PROBABILITY_BITS) + slot - self._starts[table][symbol]
            if state < STATE_FLOOR:
                state = state << 16 | self._word()
            self._states[lane] = state
            self._coded += 1
            found.append(symbol)
        return np.array(found, np.int64)

    def _word(self) -> int:
        if self._at + 2 > len(self._data):
            raise BadStream
        self._at += 2
        return int.from_bytes(self._data[self._at - 2 : self._at], "little")

    def values(self, tables: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[np.int32]:
        """The values behind the last symbols; nothing may be left of the bytes after them."""
        symbols = self.symbols(tables)
        if any(state != STATE_FLOOR for state in self._states):
            raise BadStream
        raw = _RawBits(self._data[self._at :])
        found = []
        for symbol, shift in zip(symbols.tolist(), shifts.tolist(), strict=True):
            high = raw.escape() if symbol == ESCAPE else symbol - LARGEST_SYMBOL
            value = (high << shift) + raw.take(shift) - ((1 << shift) >> 1)
            if abs(value) > MAX_VALUE:
                raise BadStream
            found.append(value)
        raw.check_end()
        return np.array(found, np.int32)


def _starts(histograms: U16) -> NDArray[np.int64]:
    return np.cumsum(histograms, axis=1, dtype=np.int64) - histograms


class _Bits:
    """Bits, least significant first."""

    def __init__(self) -> None:
        self._value = 0
        self._count = 0

    def put(self, value: int, count: int) -> None:
        self._value |= value << self._count
        self._count += count

    def escape(self, value: int) -> None:
        """Length of the magnitude in 4 bits, what follows its leading one, the sign."""
        magnitude = abs(value)
        length = magnitude.bit_length()
        self.put(length, 4)
        if length:
            self.put(magnitude - (1 << (length - 1)), length - 1)
            self.put(int(value < 0), 1)

    def tobytes(self) -> bytes:
        return self._value.to_bytes((self._count + 7) // 8, "little")


class _RawBits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._size = 8 * len(data)
        self._at = 0

    def take(self, count: int) -> int:
        if self._at + count > self._size:
            raise BadStream
        self._at += count
        return (self._value >> (self._at - count)) & ((1 << count) - 1)

    def escape(self) -> int:
        length = self.take(4)
        if length == 0:
            return 0
        magnitude = (1 << (length - 1)) + self.take(length - 1)
        return -magnitude if self.take(1) else magnitude

    def check_end(self) -> None:
        """Only the padding of the last byte may be left, and it is zero."""
        left = self._size - self._at
        if left >= 8 or self._value >> self._at:
            raise BadStream
