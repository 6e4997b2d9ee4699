"""The feature coder and rANS in C: arrays are laid out and wrapped once, a call passes ready pointers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.kernels._native import ffi, lib
from edge_runtime.kernels.feature_plan import PROBABILITY_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.kernels.feature_plan import FeaturePlan, FeatureStep
    from edge_runtime.kernels.interface import F32, I32, U8, U16

_wrap = ffi.from_buffer
_U8, _F32, _I32 = map(ffi.typeof, ("uint8_t[]", "float[]", "int32_t[]"))
_SYMBOL_BYTES = ffi.sizeof("struct edge_rans_symbol")
_SLOTS = 1 << PROBABILITY_BITS
_CLASSES = 4
# Steps that a coder keeps wrapped: rate control moves between neighbours.
_STEPS_KEPT = 16


class FeatureCoder:
    """See `interface.FeatureCoder`."""

    def __init__(self, plan: FeaturePlan) -> None:
        self._stride = -(-plan.channels // 16) * 16
        self._kept: list[Any] = []
        rows, even = plan.frequencies * plan.blocks, plan.block + plan.block % 2
        symbols, slots = rans_tables(plan.histograms)
        self._plan = ffi.new(
            "struct edge_feature_plan *",
            {
                "channels": plan.channels,
                "height": plan.height,
                "width": plan.width,
                "block": plan.block,
                "stride": self._stride,
                "rectified": plan.rectified,
                "activity": plan.activity,
                "mean": self._keep("float[]", plan.mean),
                "scale": self._keep("float[]", plan.scale),
                "unscale": self._keep("float[]", plan.unscale),
                "basis": self._keep("int16_t[]", _pad(plan.basis, (plan.block, even))),
                "transposed": self._keep("int16_t[]", _pad(plan.basis.T, (plan.block, even))),
                "forward": self._keep("int16_t[]", self._pairs(plan.forward)),
                "inverse": self._keep("int16_t[]", self._pairs(plan.inverse)),
                "rank": self._keep("uint16_t[]", np.argsort(plan.zigzag).astype(np.uint16)),
                "symbols": self._keep("struct edge_rans_symbol[]", symbols),
                "slots": self._keep("uint8_t[]", slots),
            },
        )
        self._buffers = ffi.new(
            "struct edge_feature_buffers *",
            {
                "positions": self._keep("int16_t[]", np.empty((plan.height * plan.width, self._stride), np.int16)),
                "coefficients": self._keep("int16_t[]", np.zeros((rows, self._stride), np.int16)),
                "levels": self._keep("int16_t[]", np.empty((rows, self._stride), np.int16)),
                "sums": self._keep("int32_t[]", np.empty((4, self._stride), np.int32)),
                "classes": self._keep("uint8_t[]", np.empty(plan.blocks, np.uint8)),
                "symbols": self._keep(
                    "uint16_t[]", np.zeros(rows * plan.channels + plan.blocks + 16, np.uint16)
                ),
                "raw": self._keep("uint8_t[]", np.empty(4 * rows * plan.channels + 8, np.uint8)),
            },
        )
        self._steps: dict[int, tuple[Any, FeatureStep, list[Any]]] = {}

    def _keep(self, kind: str, array: NDArray[Any]) -> Any:
        """A pointer that lives as long as the coder: a C struct keeps nothing alive."""
        pointer = _wrap(kind, np.ascontiguousarray(array))
        self._kept.append(pointer)
        return pointer

    def _pairs(self, matrix: NDArray[np.int16]) -> NDArray[np.int16]:
        """int16[outputs, inputs] as [stride / 2, stride, 2]: two inputs of every output side by side."""
        padded = _pad(matrix, (self._stride, self._stride))
        return padded.reshape(self._stride, self._stride // 2, 2).transpose(1, 0, 2)

    def _step(self, step: FeatureStep) -> Any:
        known = self._steps.get(id(step))
        if known is not None:
            return known[0]
        shape = (len(step.extent), self._stride)
        arrays = [
            _wrap("uint16_t[]", step.extent),
            _wrap("float[]", _pad(step.inverse, shape)),
            _wrap("float[]", _pad(step.step, shape)),
            _wrap("uint8_t[]", _pad(step.ratio, shape)),
            _wrap("float[]", step.floor),
        ]
        codes = [
            _wrap(kind, np.empty((_CLASSES, *shape), dtype))
            for kind, dtype in (("uint16_t[]", np.uint16), ("int16_t[]", np.int16), ("uint8_t[]", np.uint8))
        ]
        wrapped = ffi.new("struct edge_feature_step *", [*arrays, codes, step.level, step.activity_table])
        lib.edge_feature_prepare(self._plan, wrapped)
        if len(self._steps) == _STEPS_KEPT:
            self._steps.pop(next(iter(self._steps)))
        # The step itself is kept so that its id cannot come to mean another.
        self._steps[id(step)] = (wrapped, step, arrays + codes)
        return wrapped

    def transform(self, features: F32) -> int:
        """See `interface.FeatureCoder`."""
        return int(lib.edge_feature_transform(self._plan, _wrap(_F32, features), self._buffers))

    def encode(self, step: FeatureStep, out: U8) -> int:
        """See `interface.FeatureCoder`."""
        return int(lib.edge_feature_encode(self._plan, self._step(step), self._buffers, _wrap(_U8, out), len(out)))

    def decode(self, step: FeatureStep, data: U8, out: F32) -> int:
        """See `interface.FeatureCoder`."""
        wrapped = self._step(step)
        return int(
            lib.edge_feature_decode(self._plan, wrapped, self._buffers, _wrap(_U8, data), len(data), _wrap(_F32, out))
        )


def rans_encode(values: I32, tables: U8, shifts: U8, histograms: U16, out: U8) -> int:
    """See `interface.Backend`."""
    symbols, _ = rans_tables(histograms)
    coder = _wrap("struct edge_rans_symbol[]", symbols)
    inputs = _wrap(_I32, values), _wrap(_U8, tables), _wrap(_U8, shifts)
    codes = _wrap("uint16_t[]", np.empty(len(values), np.uint16))
    return int(lib.edge_rans_encode(*inputs, len(values), coder, codes, _wrap(_U8, out), len(out)))


def rans_decode(data: U8, tables: U8, shifts: U8, histograms: U16, out: I32) -> int:
    """See `interface.Backend`."""
    symbols, slots = rans_tables(histograms)
    coder = _wrap("struct edge_rans_symbol[]", symbols), _wrap(_U8, slots)
    inputs = _wrap(_U8, data), len(data), _wrap(_U8, tables), _wrap(_U8, shifts)
    codes = _wrap("uint16_t[]", np.empty(len(out), np.uint16))
    return int(lib.edge_rans_decode(*inputs, len(out), *coder, codes, _wrap(_I32, out)))


def rans_tables(histograms: U16) -> tuple[U8, U8]:
    """Symbols and slots of the histograms, as bytes."""
    count = len(histograms)
    symbols = np.zeros(histograms.size * _SYMBOL_BYTES, np.uint8)
    slots = np.empty(count * _SLOTS, np.uint8)
    pointers = _wrap("struct edge_rans_symbol[]", symbols), _wrap(_U8, slots)
    lib.edge_rans_prepare(_wrap("uint16_t[]", np.ascontiguousarray(histograms)), count, *pointers)
    return symbols, slots


def _pad(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The array in the corner of a larger one of zeros."""
    padded = np.zeros(shape, array.dtype)
    padded[tuple(slice(extent) for extent in array.shape)] = array
    return padded
