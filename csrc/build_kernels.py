"""Builds `edge_runtime.kernels._native`, the cffi face of the C kernels; setup.py calls it.

The declarations come from `edge_kernels.h` itself, so there is no second copy to keep in step.
"""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
# Each vector source is empty but on its own architecture.
SOURCES = sorted([*HERE.glob("*.c"), *HERE.glob("x86/*.c"), *HERE.glob("arm/*.c")])
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
    sources=[f"csrc/{source.relative_to(HERE)}" for source in SOURCES],
    include_dirs=["csrc"],
    depends=[f"csrc/{header.relative_to(HERE)}" for header in sorted([*HERE.glob("*.h"), *HERE.glob("arm/*.h")])],
    extra_compile_args=FLAGS,
    py_limited_api=True,
)
