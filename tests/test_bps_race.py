"""The race of the scheduler against its baselines, on the tiny cut network and in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bps as race
import bps_cells as cells
import bps_figures as figures
import bps_real as real
import bps_robustness as robustness
import bps_summary as summary
import msgspec
import pytest

from edge_runtime.evaluation.link import open_link, serving
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle
from edge_runtime.profiling.scheduler import measure
from edge_runtime.scheduling.device import Device
from edge_runtime.scheduling.plans import Plan

BASELINES = {
    "local",
    "remote",
    "static data parallel",
    "neurosurgeon",
    "neurosurgeon 8 bit",
    "dads",
    "batch only",
    "pipeline only",
}


@pytest.fixture(scope="module")
def subject(split_bundle: Bundle, colour_photos: Path) -> object:
    """The tiny network, its times on this machine, and photos."""
    photos = labelled_photos(colour_photos, split_bundle.manifest)
    with serving(split_bundle.folder) as address, open_link(split_bundle, address) as link:
        found = measure(split_bundle, Device(split_bundle, "net"), link, photos, "beside it")
    # So slow that little happens in a simulated minute.
    return cells.Subject(split_bundle, cells.over_the_middle_link(found.slowed(50)), photos)


@pytest.fixture(scope="module")
def parts(subject: object) -> dict[str, object]:
    """Every part of the race, as small as it goes."""
    return {
        "grid": race.grid(subject, [cells.Cell(1, 4, kind) for kind in cells.ARRIVALS], seconds=2.0),
        "real": real.measure_cells(subject, [cells.Cell(4, 1, "saturating")], seconds=0.3, rounds=1),
        "validation": real.validate(subject, [(4, 1, Plan("remote", 1, in_flight=4))], seconds=0.5, rounds=1),
        "wrong": robustness.wrong_tables(subject, robustness.MISTAKES[:2], bandwidths=(0.25,), seeds=(0,)),
        "step": robustness.step(heavy(subject)),
        "overload": robustness.overload(subject, seconds=20),
    }


def heavy(subject: object) -> object:
    """The subject with a device of 20 frames a second, and payloads of 20 kB."""
    change, tables = msgspec.structs.replace, subject.tables
    sites = [
        change(site, levels=tuple(change(level, payload_bytes=20_000.0) for level in site.levels))
        for site in tables.sites
    ]
    local_s = {batch: 0.05 * batch for batch in tables.local_s}
    return replace(subject, tables=change(tables, local_s=local_s, sites=tuple(sites)))


def test_every_policy_meets_every_cell(parts: dict[str, object]) -> None:
    """Each cell has the rates of the scheduler and of all baselines, the summary its extremes."""
    found = parts["grid"]
    assert [one["arrivals"] for one in found["cells"]] == ["steady", "bursty", "saturating"]
    assert all(one["rates"].keys() == {"bps", *BASELINES} for one in found["cells"])
    assert found["cells"][2]["busy"]["device"] > 0.9
    ratios = [one["ratio_vs_best"] for one in found["cells"]]
    assert (found["min_ratio_vs_best"], found["max_ratio_vs_best"]) == (min(ratios), max(ratios))


def test_a_row_compares_with_the_best_the_median_and_the_least_that_answers() -> None:
    """Two hundred against 100, 80, 20 and nothing: 2, 4 and 10 times as many; our own kind is no rival."""
    rates = {"bps": 200.0, "bps-learned": 300.0, "a": 100.0, "b": 80.0, "c": 20.0, "d": 0.0}
    found = summary.row(cells.Cell(1, 1, "steady"), rates)
    assert (found["best"], found["least"], found["answering_nothing"]) == ("a", "c", ["d"])
    assert (found["ratio_vs_best"], found["ratio_vs_median"], found["max_ratio"]) == (2, 4, 10)


def test_the_summary_averages_ratios_by_their_logarithms() -> None:
    """Half and eight times the median are twice on average; the saturated cells also on their own."""
    rows = [
        summary.row(cells.Cell(mbit, 1, kind), {"bps": ours, "a": 2.0})
        for mbit, kind, ours in ((1, "steady", 1.0), (4, "saturating", 16.0))
    ]
    found = summary.summary(rows)
    assert found["geomean_vs_median"] == pytest.approx(2)
    assert found["geomean_vs_median_saturating"] == pytest.approx(8)
    assert found["min_cell"] == {"mbit": 1, "slower": 1, "arrivals": "steady"}
    assert found["max_cell"]["mbit"] == 4


def test_real_cells_are_answered_by_real_models(parts: dict[str, object]) -> None:
    """A cell over the link shaper: every policy's rounds, and answers that are right."""
    (found,) = parts["real"]
    assert found["rates"].keys() == {"bps", *BASELINES}
    assert found["answered"] > 0
    assert found["accuracy"] > 0.9
    assert found["interval"][0] < found["accuracy"]


def test_the_simulator_is_held_against_the_real_thing(parts: dict[str, object]) -> None:
    """A plan's simulated rate beside its real one, at the smallest level within the loss."""
    (found,) = parts["validation"]
    assert found["plan"].startswith("remote(1, jpeg")
    assert found["simulated_over_real"] == found["simulated"] / found["real"] == found["rounds"][0]


def test_shares_are_of_what_one_who_knows_gets(parts: dict[str, object]) -> None:
    """Right tables lose next to nothing against the oracle, and correcting wrong ones no more than believing them."""
    found = parts["wrong"]
    right, slower = (one["mean"] for one in found)
    assert found[0]["mistake"] == "none"
    assert found[0]["runs"] == len(cells.SLOWER)
    assert right["uncorrected"] == pytest.approx(1, abs=0.05)
    assert slower["bps"] >= slower["uncorrected"] - 0.02


def test_a_breakdown_changes_the_plan(parts: dict[str, object]) -> None:
    """A device that needs the server for 30 frames a second is in another plan within two seconds."""
    rows = parts["step"]
    assert len(rows) == 2 * len(cells.SLOWER)
    (found,) = (one for one in rows if (one["slower"], one["arrivals"]) == (1, "30 a second"))
    assert not found["before"].startswith("local")
    assert found["new_plan"] != found["before"] != found["finally"]
    assert 0 <= found["after_s"] < 2


def test_overload_is_survived(parts: dict[str, object]) -> None:
    """Under twice the load most of what can be done is done in time, and every frame is accounted for once."""
    found = parts["overload"]
    assert found["accounts"] == []
    assert found["in_time_per_second"] > 0.7 * found["best_rate"]
    assert found["most_waiting"] <= 64


def tables() -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Heads and rows of every table that is made of the race."""
    return [
        (figures.SATURATED_HEAD, figures.saturated_rows()),
        (figures.BUSY_HEAD, figures.busy_rows()),
        (figures.ARRIVING_HEAD, figures.arriving_rows()),
        figures.real_table(),
        (figures.VALIDATION_HEAD, figures.validation_rows()),
        (figures.WRONG_HEAD, figures.wrong_rows()),
        (figures.STEP_HEAD, figures.step_rows()),
        (figures.OVERLOAD_HEAD, figures.overload_rows()),
    ]


def test_every_part_makes_a_table(parts: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each table has rows, as long as its head; the README gets its figures."""
    monkeypatch.setattr(figures, "found", parts.get)
    for head, rows in tables():
        assert rows
        assert {len(row) for row in rows} == {len(head)}
    assert len(figures.bps_rows()) >= 4


def test_a_part_that_has_not_run_makes_an_empty_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is invented, and nothing fails."""
    monkeypatch.setattr(figures, "found", lambda _: None)
    assert all(rows == [] for _, rows in tables())
