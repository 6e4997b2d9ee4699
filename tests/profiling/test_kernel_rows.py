"""Kernels in every backend."""

from __future__ import annotations

import importlib.util
import os

import pytest

from edge_runtime import kernels
from edge_runtime.profiling import kernel_rows
from edge_runtime.profiling.backends import backend_choices, kept
from edge_runtime.profiling.report import Bandwidth, Ceilings, Peak


def test_every_backend_of_this_machine_is_offered():
    """The compiled one in each instruction set, and switching to it makes it run."""
    found = backend_choices()
    before = kernels.backend()

    with kept():
        for choice in found:
            choice.switch()
            assert kernels.backend().name == choice.name.split()[0]
            assert choice.isa is None or kernels.backend().isa == choice.isa

    assert [choice.name for choice in found][-1] == "reference"
    assert ("jit" in [choice.name for choice in found]) == bool(importlib.util.find_spec("numba"))
    assert kernels.backend() == before


@pytest.mark.parametrize(
    ("only", "wanted"),
    [
        ("", True),
        ("gate", True),
        ("[reference]", True),
        ("gate*[[]reference]", True),
        ("softmax", False),
        ("*jit*", False),
    ],
)
def test_a_pattern_is_part_of_a_key_or_matches_it(only, wanted):
    """Empty means everything."""
    assert kernel_rows.matches(only, "gate 224×224, 1000 classes [reference]") is wanted


def test_rows_of_a_kernel():
    """Measured in turns on one core, and given their place under the roofline."""
    cores = os.sched_getaffinity(0)
    rounds_seen = []

    found = kernel_rows.measure("softmax", 0.05, lambda: rounds_seen.append(os.sched_getaffinity(0)))

    assert [one.choice.name for one in found if one.choice.name != "jit"] == [
        choice.name for choice in backend_choices() if choice.name != "jit"
    ]
    assert {frozenset(seen) for seen in rounds_seen} == {frozenset({max(cores)})}
    assert os.sched_getaffinity(0) == cores
    rows = [kernel_rows.row(one, None) for one in found]
    assert all(row.timing.p50.value > 0 and row.bound is None for row in rows)
    assert rows[-1].key == "softmax of 1000 [reference]"


def test_shares_are_those_of_the_rows_own_instruction_set():
    """NumPy's have none: nobody knows which instructions it used."""
    found = kernel_rows.measure("softmax", 0.01, lambda: None)
    isas = [one.choice.isa for one in found if one.choice.isa]
    ceilings = Ceilings(1e9, tuple(Peak(isa, 1, 1e9, 1e9) for isa in isas), (Bandwidth("L1", 10**6, 1e9, 1e9),))

    for one in found:
        row = kernel_rows.row(one, ceilings)
        assert (row.bandwidth_share is not None) == (one.choice.isa is not None)
        if row.bandwidth_share is not None:
            assert row.bandwidth_share == pytest.approx(row.bytes / row.timing.p50.value / 1e9)
