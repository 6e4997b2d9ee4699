"""DADS: the minimum cut against trying every partition, and both loads."""

from __future__ import annotations

import sys

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.scheduling.dads import Dads, least_cut
from edge_runtime.scheduling.forecast import Costs
from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.state import State
from edge_runtime.scheduling.tables import Tables

PLANS = [
    Plan("split", 1, "late", "half"),
    Plan("split", 1, "early", "half"),
    Plan("remote", 1, "", "jpeg q30"),
]
TIMES = st.lists(st.floats(0, 10), min_size=6, max_size=6)


@given(TIMES, TIMES, TIMES, st.integers(1, 6))
def test_the_least_cut_is_the_best_of_all_partitions(
    device_s: list[float], crossing_s: list[float], server_s: list[float], places: int
) -> None:
    """Over any times, also measured ones that fall where they should rise; equal ones may stand for each other."""
    times = [np.array(values[:places]) for values in (device_s, crossing_s, server_s)]
    total_s = np.sum(times, axis=0)
    assert total_s[least_cut(networkx, *times)] == pytest.approx(total_s.min(), abs=1e-7)


@given(st.floats(1e3, 1e8), st.floats(0.5, 40), st.floats(0.5, 40))
def test_a_light_load_gets_the_lowest_latency(tables: Tables, bandwidth: float, device: float, server: float) -> None:
    """Of sending photos, either cut, or nothing, found by trying all of them."""
    state = State(0, 0.01, 10.0, LinkView(bandwidth, 0.02), device, server)
    every = Costs(tables, [*PLANS, LOCAL]).forecast(state)
    chosen = Dads(tables, PLANS).choose(state)
    found = Costs(tables, [chosen]).forecast(state)
    assert found.latency_s[0] == pytest.approx(every.latency_s.min(), abs=1e-7)


def test_a_heavy_load_gets_the_smallest_largest_stage(tables: Tables) -> None:
    """A device ten times slower than the server: alone it is quickest over 0.8 Mbit/s, photos give a higher rate."""
    link = LinkView(1e5, 0.02)
    dads = Dads(tables.slowed(10), PLANS)
    assert dads.choose(State(0, 1.0, 10.0, link)) == LOCAL
    fast = LinkView(1.25e5, 0.02)
    heavy = dads.choose(State(60, 60.0, 10.0, fast))
    assert heavy.mode == "remote"
    assert heavy.in_flight > 1


def test_without_a_link_it_computes_here(tables: Tables) -> None:
    """Whatever the load."""
    assert Dads(tables, PLANS).choose(State(60, 60.0, 10.0, LinkView(1e9, 0.0, reachable=False))) == LOCAL


def test_without_networkx_one_line_says_how_to_get_it(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with the extra of reports."""
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(EdgeRuntimeError, match=r"edge-runtime\[report\]"):
        Dads(tables, PLANS)
