"""The latent coder in Numba: the bytes of `reference_latents`, in loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.kernels import jit_rans as rans
from edge_runtime.kernels.interface import Status
from edge_runtime.kernels.jit_compile import compiled

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import F32, I32, U8
    from edge_runtime.kernels.latents import LatentPlan

_BAD_FEATURES = int(Status.BAD_FEATURES)
_BAD_STREAM = int(Status.BAD_STREAM)
# The entropy coder's symbols stand for values around zero.
_LARGEST_SYMBOL = 15


class LatentCoder:
    """See `interface.LatentCoder`."""

    def __init__(self, plan: LatentPlan) -> None:
        self._plan = plan
        self._tables = np.repeat(np.arange(plan.channels, dtype=np.uint8), plan.height * plan.width)
        self._shifts = np.zeros_like(self._tables)
        self._coding = (plan.histograms, rans.starts_of(plan.histograms), rans.slots_of(plan.histograms))

    def encode(self, latent: F32, out: U8) -> int:
        """See `interface.LatentCoder`."""
        plan = self._plan
        values = np.empty(len(self._tables), np.int32)
        if _quantise(latent, plan.step, plan.levels, values) < 0:
            return _BAD_FEATURES
        coded = int(rans.encode(values, self._tables, self._shifts, plan.histograms, out))
        if 0 < coded < plan.packed_bytes:
            return coded
        _pack(values, plan.bits, out)
        return plan.packed_bytes

    def decode(self, data: U8, out: F32) -> int:
        """See `interface.LatentCoder`."""
        plan = self._plan
        values = np.empty(len(self._tables), np.int32)
        if len(data) > plan.packed_bytes:
            return _BAD_STREAM
        if len(data) == plan.packed_bytes:
            status = _unpack(data, plan.bits, plan.levels, values)
        else:
            status = _uncode(data, self._tables, self._shifts, self._coding, values)
        if status < 0:
            return _BAD_STREAM
        _dequantise(values, plan.step, plan.levels, out)
        return Status.OK


@compiled
def _quantise(latent: F32, step: F32, levels: int, values: I32) -> int:
    """Symbols of a latent, as values of the entropy coder; OK or BAD_FEATURES."""
    channels, height, width = latent.shape
    half, top = np.float32(levels / 2), np.float32(levels - 1)
    at = 0
    for c in range(channels):
        inverse = np.float32(1) / step[c]
        for y in range(height):
            for x in range(width):
                if not np.isfinite(latent[c, y, x]):
                    return _BAD_FEATURES
                scaled = latent[c, y, x] * inverse
                place = min(max(scaled + half, np.float32(0)), top)
                values[at] = np.int32(place) - _LARGEST_SYMBOL
                at += 1
    return 0


@compiled
def _dequantise(values: I32, step: F32, levels: int, out: F32) -> None:
    channels, height, width = out.shape
    middle = np.float32((levels - 1) / 2)
    at = 0
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                out[c, y, x] = (np.float32(values[at] + _LARGEST_SYMBOL) - middle) * step[c]
                at += 1


@compiled
def _pack(values: I32, bits: int, out: U8) -> None:
    at = 0
    for value in values:
        at = rans.put_bits(out, at, np.int64(value) + _LARGEST_SYMBOL, bits)


@compiled
def _unpack(data: U8, bits: int, levels: int, values: I32) -> int:
    """OK or BAD_STREAM."""
    at: Any = 0
    for i in range(len(values)):
        at, symbol = rans.take_bits(data, at, bits)
        if symbol >= levels:
            return _BAD_STREAM
        values[i] = symbol - _LARGEST_SYMBOL
    if at % 8 and data[at // 8] >> (at % 8):
        return _BAD_STREAM
    return 0


@compiled
def _uncode(data: U8, tables: U8, shifts: U8, coding: Any, values: I32) -> int:
    """OK or BAD_STREAM. `coding` are histograms, starts and slots."""
    histograms, starts, slots = coding
    states, cursor = rans.open_stream(data)
    if len(states) == 0:
        return _BAD_STREAM
    return rans.values(data, states, cursor, tables, shifts, histograms, starts, slots, values)
