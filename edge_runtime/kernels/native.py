"""The kernels in C, through cffi. Arrays are wrapped with `ffi.from_buffer`, the cheapest way to a pointer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.kernels._native import ffi, lib
from edge_runtime.kernels.constants import KERNELS
from edge_runtime.kernels.interface import BackendInfo
from edge_runtime.kernels.native_features import FeatureCoder, rans_decode, rans_encode
from edge_runtime.kernels.native_latents import LatentCoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.kernels.feature_plan import FeaturePlan
    from edge_runtime.kernels.interface import F32, I32, U8, U16, GateBinder, GateBuffers, GateOutcome, GatePlan
    from edge_runtime.kernels.latents import LatentPlan

# The versions of each kernel in the dispatch tables of csrc/dispatch.c, best last; the others have one.
_VERSIONS = {
    "uncertainty": ("avx2", "neon"),
    "softmax": ("avx2", "neon"),
    "class_attention": ("avx2", "neon"),
    "rollout": ("avx2", "neon"),
    "resample_horizontal": ("neon", "dotprod"),
    "resample_vertical": ("avx2", "neon"),
    "gather": ("avx2", "avx512", "neon"),
    "feature_transform": ("avx2", "neon"),
    "feature_encode": ("avx2", "neon"),
    "feature_decode": ("avx2", "neon"),
}
# Instruction sets that one of csrc/dispatch.c's tables may take versions from.
_INCLUDES = {
    "scalar": (),
    "avx2": ("avx2",),
    "avx512": ("avx2", "avx512"),
    "neon": ("neon",),
    "dotprod": ("neon", "dotprod"),
}

__all__ = ["FeatureCoder", "rans_decode", "rans_encode"]

_wrap = ffi.from_buffer
# Resolved once: cffi would look the words up in every call.
_U8, _U16, _I32, _F32, _F64 = map(ffi.typeof, ("uint8_t[]", "uint16_t[]", "int32_t[]", "float[]", "double[]"))

lib.edge_dispatch_init()


def _u8(array: U8) -> Any:
    return _wrap(_U8, array)


def _u16(array: U16) -> Any:
    return _wrap(_U16, array)


def _i32(array: I32) -> Any:
    return _wrap(_I32, array)


def _f32(array: F32) -> Any:
    return _wrap(_F32, array)


def info() -> BackendInfo:
    """See `interface.Backend`."""
    isa = ffi.string(lib.edge_dispatch_name()).decode()
    variants = {kernel: _variant(kernel, isa) for kernel in KERNELS}
    return BackendInfo("native", isa, variants)


def _variant(kernel: str, isa: str) -> str:
    if kernel == "gate":
        return isa
    usable = [version for version in _VERSIONS.get(kernel, ()) if version in _INCLUDES[isa]]
    return usable[-1] if usable else "scalar"


def use_isa(name: str) -> bool:
    """Choose one of `_INCLUDES` by name for comparisons; False, and no change, where this CPU lacks it."""
    return bool(lib.edge_dispatch_use(name.encode()) == 0)


def isas() -> tuple[str, ...]:
    """The instruction sets that this build and this CPU offer, the scalar one first; the choice stays as it is."""
    before = ffi.string(lib.edge_dispatch_name())
    found = tuple(name for name in _INCLUDES if use_isa(name))
    lib.edge_dispatch_use(before)
    return found


def resample_horizontal(image: U8, bounds: I32, weights: I32, out: U8) -> None:
    """See `interface.Backend`."""
    height, width = image.shape[:2]
    taps, columns = weights.shape[1], len(bounds)
    lib.edge_resample_horizontal(_u8(image), height, width, _i32(bounds), _i32(weights), taps, columns, _u8(out))


def resample_vertical(image: U8, bounds: I32, weights: I32, out: U8) -> None:
    """See `interface.Backend`."""
    height, width = image.shape[:2]
    taps, rows = weights.shape[1], len(bounds)
    lib.edge_resample_vertical(_u8(image), height, width, _i32(bounds), _i32(weights), taps, rows, _u8(out))


def normalise(image: U8, table: F32, out: F32) -> None:
    """See `interface.Backend`."""
    lib.edge_normalise(_u8(image), image.shape[0] * image.shape[1], _f32(table), _f32(out))


def class_attention(attention: F32, out: F32) -> int:
    """See `interface.Backend`."""
    return int(lib.edge_class_attention(_f32(attention), *attention.shape, _f32(out)))


def rollout(attention: F32, out: F32) -> int:
    """See `interface.Backend`."""
    layers, heads, tokens, _ = attention.shape
    scratch = _wrap(_F64, np.empty(3 * tokens))
    return int(lib.edge_rollout(_f32(attention), layers, heads, tokens, scratch, _f32(out)))


def select_random(count: int, k: int, seed: int, out: U16) -> int:
    """See `interface.Backend`."""
    return int(lib.edge_select_random(count, k, seed, _u16(out)))


def sample_grid(rows: int, columns: int, k: int, seed: int, jittered: bool, out: U16) -> int:
    """See `interface.Backend`."""
    return int(lib.edge_sample_grid(rows, columns, k, seed, jittered, _u16(out)))


def select_top_k(scores: F32, k: int, out: U16) -> int:
    """See `interface.Backend`."""
    return int(lib.edge_select_top_k(_f32(scores), len(scores), k, _u16(out)))


def select_threshold(scores: F32, delta: float, out: U16) -> int:
    """See `interface.Backend`."""
    return int(lib.edge_select_threshold(_f32(scores), len(scores), delta, _u16(out)))


def select_sum(scores: F32, delta: float, include_crossing: bool, out: U16) -> int:
    """See `interface.Backend`."""
    return int(lib.edge_select_sum(_f32(scores), len(scores), delta, include_crossing, _u16(out)))


def uncertainty(logits: F32) -> tuple[int, float, float, float]:
    """See `interface.Backend`."""
    out = ffi.new("struct edge_uncertainty *")
    label = lib.edge_uncertainty(_f32(logits), len(logits), out)
    return label, out.min_entropy, out.shannon, out.margin


def softmax(logits: F32, out: F32) -> int:
    """See `interface.Backend`."""
    return int(lib.edge_softmax(_f32(logits), len(logits), _f32(out)))


def gather(image: U8, indices: U16, patch: int, out: U8) -> int:
    """See `interface.Backend`."""
    height, width = image.shape[:2]
    return int(lib.edge_gather(_u8(image), height, width, patch, _u16(indices), len(indices), _u8(out)))


def scatter(patches: U8, indices: U16, image: U8) -> int:
    """See `interface.Backend`."""
    height, width = image.shape[:2]
    patch = patches.shape[1]
    return int(lib.edge_scatter(_u8(patches), patch, _u16(indices), len(indices), _u8(image), height, width))


def pack_bitmap(indices: U16, count: int, out: U8) -> int:
    """See `interface.Backend`."""
    return int(lib.edge_pack_bitmap(_u16(indices), len(indices), count, _u8(out)))


def unpack_bitmap(bits: U8, count: int, out: U16) -> int:
    """See `interface.Backend`."""
    return int(lib.edge_unpack_bitmap(_u8(bits), count, _u16(out)))


def gate(plan: GatePlan, buffers: GateBuffers) -> GateBinder:
    """See `interface.Backend`."""
    c_plan = ffi.new(
        "struct edge_gate_plan *",
        {field: getattr(plan, field) for field, _ in ffi.typeof("struct edge_gate_plan").fields},
    )
    pointers = (_f32(buffers.scores), _u16(buffers.indices), _u8(buffers.bitmap), _u8(buffers.patches))
    c_buffers = ffi.new("struct edge_gate_buffers *", pointers)
    outcome = ffi.new("struct edge_gate_outcome *")
    measures = outcome.uncertainty
    call = lib.edge_gate

    def bind(logits: F32, attention: F32, image: U8) -> Callable[[], GateOutcome]:
        c_logits, c_attention, c_image = _wrap(_F32, logits), _wrap(_F32, attention), _wrap(_U8, image)

        # The default argument keeps the wrapped buffers alive: a C struct does not.
        def run(_alive: object = pointers) -> GateOutcome:
            kept = call(c_plan, c_logits, c_attention, c_image, c_buffers, outcome)
            local = outcome.local != 0
            return kept, measures.min_entropy, measures.shannon, measures.margin, outcome.label, local

        return run

    return bind


def feature_coder(plan: FeaturePlan) -> FeatureCoder:
    """See `interface.Backend`."""
    return FeatureCoder(plan)


def latent_coder(plan: LatentPlan) -> LatentCoder:
    """See `interface.Backend`."""
    return LatentCoder(plan)
