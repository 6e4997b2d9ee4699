"""The latent coder in C: tables are laid out and wrapped once, a call brings its own scratch memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.kernels._native import ffi, lib
from edge_runtime.kernels.native_features import rans_tables

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import F32, U8
    from edge_runtime.kernels.latents import LatentPlan

_wrap = ffi.from_buffer
_U8, _U16, _F32 = map(ffi.typeof, ("uint8_t[]", "uint16_t[]", "float[]"))


class LatentCoder:
    """See `interface.LatentCoder`."""

    def __init__(self, plan: LatentPlan) -> None:
        symbols, slots = rans_tables(plan.histograms)
        # A C struct keeps nothing alive.
        self._kept = (_wrap(_F32, plan.step), _wrap("struct edge_rans_symbol[]", symbols), _wrap(_U8, slots))
        sizes = (plan.channels, plan.height * plan.width, plan.levels)
        self._plan = ffi.new("struct edge_latent_plan *", [*sizes, *self._kept])
        self._values = plan.channels * plan.height * plan.width

    def encode(self, latent: F32, out: U8) -> int:
        """See `interface.LatentCoder`."""
        return int(lib.edge_latent_encode(self._plan, _wrap(_F32, latent), self._codes(), _wrap(_U8, out), len(out)))

    def decode(self, data: U8, out: F32) -> int:
        """See `interface.LatentCoder`."""
        return int(lib.edge_latent_decode(self._plan, _wrap(_U8, data), len(data), self._codes(), _wrap(_F32, out)))

    def _codes(self) -> Any:
        """Scratch memory of one call, so that threads share a coder."""
        return _wrap(_U16, np.empty(self._values, np.uint16))
