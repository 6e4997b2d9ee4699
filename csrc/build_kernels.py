"""Builds `edge_runtime.kernels._native`, the cffi face of the C kernels; setup.py calls it.

The declarations come from `edge_kernels.h` itself, so there is no second copy to keep in step.
"""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
SOURCES = (
    "attention", "dct", "dispatch", "entropy", "features", "gate", "image", "latents", "patches", "rans", "sampling",
    "selection", "x86/avx2", "x86/avx2_features", "x86/avx512", "x86/avx512_features",
)  # fmt: skip
# Contraction would change bits on CPUs with fused multiply-add. -O3 for its vectoriser, which reorders no floats.
# Functions that take wide vectors are all inlined: how other compilers would pass them does not matter.
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-psabi"]


def declarations(header: str) -> str:
    """The header without its preprocessor lines, which cffi does not read."""
    return "\n".join(line for line in header.splitlines() if not line.startswith("#"))


ffi = FFI()
ffi.cdef(declarations((HERE / "edge_kernels.h").read_text(encoding="utf-8")))
ffi.set_source(
    "edge_runtime.kernels._native",
    '#include "edge_kernels.h"',
    # Relative, because setuptools refuses absolute paths in a distribution.
    sources=[f"csrc/{source}.c" for source in SOURCES],
    include_dirs=["csrc"],
    depends=[f"csrc/{path.name}" for path in sorted(HERE.glob("*.h"))],
    extra_compile_args=FLAGS,
    py_limited_api=True,
)
