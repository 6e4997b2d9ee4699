"""Predicting times that were not measured."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling.baselines import baselines
from edge_runtime.scheduling.forecast import candidates
from edge_runtime.scheduling.regression import filled
from edge_runtime.scheduling.state import State
from edge_runtime.scheduling.tables import Tables, Times

# As the layers of EfficientNet-Lite0 have them, roughly; the example tables' times are not proportional to them.
MACS = {"": (0, 385_000_000), "early": (60_000_000, 325_000_000), "late": (290_000_000, 95_000_000)}
BATCHES = (1, 2, 4, 8, 16, 32)


def without(tables: Tables, cut: str, part: str) -> Tables:
    """The tables with a hole."""
    sites = [msgspec.structs.replace(site, **{part: {}}) if site.cut == cut else site for site in tables.sites]
    return msgspec.structs.replace(tables, sites=tuple(sites))


def linear(macs: int, run_s: float, frame_s: float, giga_s: float) -> Times:
    """Times exactly as the regression has them."""
    return {size: run_s + size * (frame_s + giga_s * macs / 1e9) for size in BATCHES}


def holes(tables: Tables) -> Iterator[tuple[Times, Times]]:
    """Each part's measured and predicted times, predicted from all the others."""
    for site in tables.sites:
        for part in ["device_s", "server_s"] if site.cut else ["server_s"]:
            predicted = filled(without(tables, site.cut, part), MACS).site(site.cut)
            yield getattr(site, part), getattr(predicted, part)


def test_what_was_measured_stays_as_it_is(tables: Tables) -> None:
    """Tables without a hole need no fit, and the rest of those with one is not touched."""
    assert filled(tables, MACS) == tables
    found = filled(without(tables, "late", "device_s"), MACS)
    assert without(found, "late", "device_s") == without(tables, "late", "device_s")
    assert sorted(found.site("late").device_s) == sorted(tables.local_s)


@given(st.floats(0, 0.01), st.floats(0, 0.01), st.floats(1e-3, 1))
def test_times_that_follow_the_formula_are_found_exactly(
    tables: Tables, run_s: float, frame_s: float, giga_s: float
) -> None:
    """Whatever a run, a frame and a multiply-accumulate cost, and also when the first two cost nothing."""
    sites = [
        msgspec.structs.replace(site, server_s=linear(MACS[site.cut][1], run_s, frame_s, giga_s))
        for site in tables.sites
    ]
    exact = msgspec.structs.replace(tables, sites=tuple(sites))
    found = filled(without(exact, "late", "server_s"), MACS)
    assert found.site("late").server_s == pytest.approx(exact.site("late").server_s)


def test_a_part_left_out_is_predicted_to_a_quarter(tables: Tables) -> None:
    """Leave one out over the example tables, whose early layers are slow for their MACs: 25 % off, 81 % at worst."""
    errors = [
        abs(predicted[size] / taken_s - 1)
        for measured, predicted in holes(tables)
        for size, taken_s in measured.items()
    ]
    assert sum(errors) / len(errors) == pytest.approx(0.25, abs=0.01)
    assert max(errors) == pytest.approx(0.81, abs=0.01)


@given(st.lists(st.floats(1e-3, 1), min_size=18, max_size=18))
def test_no_prediction_is_negative_however_noisy_the_times(tables: Tables, taken_s: list[float]) -> None:
    """Times that fall with the batch or with the work still leave weights of zero or more."""
    noise = iter(taken_s)
    sites = [
        msgspec.structs.replace(site, server_s={size: next(noise) for size in BATCHES}) for site in tables.sites
    ]
    noisy = without(msgspec.structs.replace(tables, sites=tuple(sites)), "late", "server_s")
    assert min(filled(noisy, MACS).site("late").server_s.values()) > 0


def test_a_site_with_a_hole_is_no_choice_until_it_is_filled(tables: Tables) -> None:
    """A part without times would seem to take none."""
    for part in ("device_s", "server_s"):
        holed = without(tables, "late", part)
        assert "late" not in {plan.cut for plan in candidates(holed, 0.01)}
        assert "late" in {plan.cut for plan in candidates(filled(holed, MACS), 0.01)}
        neurosurgeon = next(one for one in baselines(holed.slowed(10), 0.01) if one.name == "neurosurgeon")
        assert neurosurgeon.choose(State(1, 1.0, math.inf, LinkView(1e9, 0.0))).cut != "late"


def test_too_little_to_fit_is_refused(tables: Tables) -> None:
    """One batch size cannot tell a run from its frames, one part cannot tell a frame from its work."""
    one_part = without(without(tables, "late", "device_s"), "early", "device_s")
    with pytest.raises(ArgumentError, match="device: 6 measured runs do not tell"):
        filled(one_part, MACS)
    one_size = [
        msgspec.structs.replace(site, server_s={} if site.cut == "late" else {4: 0.01 * (1 + len(site.cut))})
        for site in tables.sites
    ]
    with pytest.raises(ArgumentError, match="server: 2 measured runs do not tell"):
        filled(msgspec.structs.replace(tables, sites=tuple(one_size)), MACS)
    nothing = without(without(without(tables, "late", "server_s"), "early", "server_s"), "", "server_s")
    with pytest.raises(ArgumentError, match="server: 0 measured runs do not tell"):
        filled(nothing, MACS)


def test_a_cut_of_unknown_size_is_refused_by_name(tables: Tables) -> None:
    """Every cut's multiply-accumulates must be given."""
    with pytest.raises(ArgumentError, match="'late'"):
        filled(tables, {cut: parts for cut, parts in MACS.items() if cut != "late"})
