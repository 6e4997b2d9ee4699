"""What the machine can do at most."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest

from edge_runtime.profiling import ceilings

native = pytest.importorskip("edge_runtime.kernels.native")


def test_every_instruction_set_has_its_peaks(pi5):
    """On one thread and on two; bandwidths for every cache that the machine names, and beyond."""
    before = native.info().isa

    found = ceilings.measure([1, 2], pi5)

    assert [(peak.isa, peak.threads) for peak in found.peaks] == [(isa, n) for isa in native.isas() for n in (1, 2)]
    assert all(peak.float_ops > 0 for peak in found.peaks)
    assert [level.level for level in found.memory] == ["L1", "L2", "L3", "memory"]
    assert all(level.best > 0 for level in found.memory)
    assert native.info().isa == before


def test_working_sets_lie_inside_their_caches():
    """And the last one beyond them, whatever is known of them."""
    known = ceilings.working_sets([("L1", 32 << 10), ("L2", 1 << 20)])
    unknown = ceilings.working_sets([])

    assert known == [("L1", 16 << 10), ("L2", 512 << 10), ("memory", 1 << 26)]
    assert [name for name, _ in unknown] == ["L1", "L2", "memory"]


def test_without_the_compiled_kernels_there_are_none(pi5, monkeypatch):
    """And nothing counts cycles."""
    monkeypatch.delitem(sys.modules, "edge_runtime.kernels.limits", raising=False)
    monkeypatch.setitem(sys.modules, "edge_runtime.kernels._native", None)

    assert ceilings.measure([1], pi5) is None
    assert ceilings.chain() is None


def test_the_memory_loops_do_what_they_say():
    """A copy and a triad, on every instruction set."""
    limits = importlib.import_module("edge_runtime.kernels.limits")
    a, b = np.arange(37, dtype=np.float32), np.arange(37, dtype=np.float32) ** 2
    before = native.info().isa
    for isa in native.isas():
        native.use_isa(isa)
        out = np.zeros_like(a)
        limits.triad(a, b, out, 2)
        np.testing.assert_array_equal(out, a + 3 * b)
        limits.copy(a, out, 1)
        np.testing.assert_array_equal(out, a)
    native.use_isa(before)
