"""The latent coder in NumPy: the oracle, and the floor where nothing else runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.kernels import reference_rans as rans
from edge_runtime.kernels.interface import Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.kernels.interface import F32, U8
    from edge_runtime.kernels.latents import LatentPlan


class LatentCoder:
    """See `interface.LatentCoder`."""

    def __init__(self, plan: LatentPlan) -> None:
        self._plan = plan
        self._tables = np.repeat(np.arange(plan.channels), plan.height * plan.width)
        self._shifts = np.zeros_like(self._tables)

    def encode(self, latent: F32, out: U8) -> int:
        """See `interface.LatentCoder`."""
        if not np.isfinite(latent).all():
            return Status.BAD_FEATURES
        symbols = quantise(self._plan, latent)
        packed = pack(symbols, self._plan.bits)
        # The entropy coder's symbols stand for values around zero.
        coded = rans.encode(symbols - rans.LARGEST_SYMBOL, self._tables, self._shifts, self._plan.histograms)
        data = coded if len(coded) < len(packed) else packed
        out[: len(data)] = np.frombuffer(data, np.uint8)
        return len(data)

    def decode(self, data: U8, out: F32) -> int:
        """See `interface.LatentCoder`."""
        plan = self._plan
        if len(data) > plan.packed_bytes:
            return Status.BAD_STREAM
        try:
            symbols = self._unpack(data) if len(data) == plan.packed_bytes else self._uncode(data)
        except rans.BadStream:
            return Status.BAD_STREAM
        out[:] = dequantise(plan, symbols)
        return Status.OK

    def _unpack(self, data: U8) -> NDArray[np.int32]:
        flags = np.unpackbits(data, bitorder="little")
        end = len(self._tables) * self._plan.bits
        weights = 1 << np.arange(self._plan.bits, dtype=np.int32)
        symbols: NDArray[np.int32] = flags[:end].reshape(-1, len(weights)) @ weights
        if flags[end:].any() or symbols.max() >= self._plan.levels:
            raise rans.BadStream
        return symbols

    def _uncode(self, data: U8) -> NDArray[np.int32]:
        return rans.Decoder(data.tobytes(), self._plan.histograms).values(self._tables, self._shifts) + np.int32(
            rans.LARGEST_SYMBOL
        )


def quantise(plan: LatentPlan, latent: F32) -> NDArray[np.int32]:
    """Symbols int32 `[C · H · W]` of a finite latent: which of the levels is nearest."""
    with np.errstate(over="ignore"):
        scaled = latent * (np.float32(1) / plan.step)[:, np.newaxis, np.newaxis]
    places = np.floor(scaled + np.float32(plan.levels / 2))
    symbols: NDArray[np.int32] = np.clip(places, 0, plan.levels - 1).astype(np.int32)
    return symbols.reshape(-1)


def dequantise(plan: LatentPlan, symbols: NDArray[np.int32]) -> F32:
    """The latent float32 `[C, H, W]` that symbols stand for."""
    centred = symbols.reshape(plan.shape).astype(np.float32) - np.float32((plan.levels - 1) / 2)
    return centred * plan.step[:, np.newaxis, np.newaxis]


def pack(symbols: NDArray[np.int32], bits: int) -> bytes:
    """Symbols in so many bits each, the least significant first; zero bits fill the last byte."""
    flags = symbols[:, np.newaxis] >> np.arange(bits) & 1
    return np.packbits(flags.astype(np.uint8), bitorder="little").tobytes()
