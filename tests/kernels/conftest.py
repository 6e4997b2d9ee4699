"""Runs a kernel on every backend this machine has."""

from __future__ import annotations

import importlib
import platform
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError

# The sets of this architecture, best last.
ISAS = {
    "x86_64": ("scalar", "avx2", "avx512"),
    "aarch64": ("scalar", "neon", "dotprod"),
}.get(platform.machine(), ("scalar",))


@contextmanager
def scalar_native():
    """Native kernels without vector versions."""
    native = importlib.import_module("edge_runtime.kernels.native")
    best = native.info().isa
    with kernels.use("native"):
        native.use_isa("scalar")
        try:
            yield
        finally:
            native.use_isa(best)


def loads(name: str) -> bool:
    """Whether this machine has a backend."""
    try:
        with kernels.use(name):
            return True
    except ArgumentError:
        return False


def variants() -> dict[str, Any]:
    """Context managers by name, for each backend that can be loaded."""
    found = {name: partial(kernels.use, name) for name in ("reference", "native", "jit") if loads(name)}
    if "native" in found:
        found["native scalar"] = scalar_native
    return found


VARIANTS = variants()


def raw(result: Any) -> Any:
    """A result as plain comparable data: arrays as dtype, shape and bytes."""
    if isinstance(result, np.ndarray):
        return result.dtype.str, result.shape, result.tobytes()
    if isinstance(result, tuple):
        return tuple(raw(item) for item in result)
    return result


@pytest.fixture(scope="session")
def everywhere():
    """A function that runs a call on every variant, insists on equal bytes, and returns the result."""

    def run(call):
        results = {}
        for name, variant in VARIANTS.items():
            with variant():
                results[name] = call()
        expected = results["reference"]
        for name, actual in results.items():
            assert raw(expected) == raw(actual), f"{name} differs from reference"
        return expected

    return run


@pytest.fixture(params=sorted(VARIANTS))
def each_backend(request):
    """Runs the test once per variant."""
    with VARIANTS[request.param]():
        yield request.param


@pytest.fixture(params=ISAS)
def isa(request):
    """Runs the test once per instruction set that this CPU has, by its name."""
    if request.param not in importlib.import_module("edge_runtime.kernels.native").isas():
        pytest.skip(f"this CPU has no {request.param}")
    return request.param
