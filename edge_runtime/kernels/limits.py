"""What one core can do at most, by the loops of `csrc/limits.c`; no import where the compiled kernels are missing.

Sums use the vectors of the instruction set in use (`native.use_isa`). Callers time; these only run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.kernels._native import ffi, lib

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import F32

CHAIN_CYCLES: int = lib.EDGE_CHAIN_CYCLES
"""Cycles that `chain` takes."""


def chain() -> None:
    """Additions that each wait for the last one, a cycle each."""
    lib.edge_limit_chain()


def products() -> int:
    """Sum products of 16-bit integers; how many, 0 where that loop is missing."""
    return int(lib.edge_limit_products())


def floats() -> int:
    """Sum products of floats, fused where the set has that; how many, 0 where that loop is missing."""
    return int(lib.edge_limit_floats())


def copy(source: F32, target: F32, times: int) -> None:
    """float32 `[n]` to another of that size, ``times`` over."""
    lib.edge_limit_copy(_pointer(source), _pointer(target), len(target), times)


def triad(a: F32, b: F32, out: F32, times: int) -> None:
    """out = a + 3 b, all float32 `[n]`, ``times`` over."""
    lib.edge_limit_triad(_pointer(a), _pointer(b), 3.0, _pointer(out), len(out), times)


def _pointer(array: F32) -> object:
    return ffi.from_buffer("float[]", array)
