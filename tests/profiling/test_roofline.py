"""Where a call lies under the roofline."""

from __future__ import annotations

import pytest

from edge_runtime.profiling.report import Bandwidth, Ceilings, Peak
from edge_runtime.profiling.roofline import place

CEILINGS = Ceilings(
    1e9,
    (Peak("scalar", 1, 1e10, 2e10), Peak("avx2", 1, 4e10, 8e10), Peak("avx2", 2, 8e10, 16e10)),
    (Bandwidth("L1", 1000, 1e11, 2e11), Bandwidth("memory", 10**6, 2e10, 1e10)),
)


def test_the_nearer_ceiling_bounds():
    """A copy within L1 is bound by memory, a long sum by arithmetic."""
    copy = place(CEILINGS, "avx2", "float", 1000, 10, 1e-8)
    product = place(CEILINGS, "avx2", "float", 1000, 10**6, 5e-5)

    assert copy.bandwidth_share == pytest.approx(0.5)
    assert copy.bound == "memory"
    assert product.arithmetic_share == pytest.approx(0.5)
    assert product.bound == "arithmetic"


def test_each_instruction_set_and_arithmetic_has_its_peak():
    """Of one core."""
    shares = [
        place(CEILINGS, *which, 1, 1000, 1e-7).arithmetic_share for which in [("scalar", "float"), ("avx2", "int16")]
    ]

    assert shares == pytest.approx([1.0, 0.125])


def test_a_working_set_beyond_the_caches_is_held_against_memory():
    """And so is one beyond everything that was measured."""
    for moved in (5000, 10**8):
        assert place(CEILINGS, "avx2", "float", moved, 0, moved / 2e10).bandwidth_share == pytest.approx(1.0)


def test_without_ceilings_there_is_no_place():
    """No compiled kernels, or a set that this machine lacks."""
    assert place(None, "avx2", "float", 1, 1, 1.0) is None
    assert place(CEILINGS, "neon", "float", 1, 1, 1.0) is None
