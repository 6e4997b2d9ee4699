"""What is said of passes that were made by hand."""

from __future__ import annotations

import pytest

from exporters.calibration.rounds_report import round_report
from exporters.calibration.rounds_tables import round_tables


@pytest.fixture
def report(axes, passes, labels) -> dict:
    """Of four photos."""
    return round_report(axes, passes, labels, round_tables(axes, passes, labels))


def test_light_beside_full(report):
    """Over the pairs there are: two photos, two settings, three second rounds. Every answer about one photo differs."""
    light = report["light"]

    assert (light["photos"], light["pairs"]) == (2, 12)
    assert (light["light"], light["full"], light["changed"]) == (0.5, 1.0, 0.5)
    assert light["drift"] == pytest.approx(1.0)
    assert light["time"] == 0.5
    mean, low, high = light["difference"]
    assert (low + high) / 2 == pytest.approx(mean) == -0.5
    # Photos are independent of each other, their pairs are not.
    assert high - low == pytest.approx(2 * 1.96 * 0.5, rel=1e-3)


def test_light_by_second(report):
    """One row for each number of patches but none."""
    assert [(row["second"], row["pairs"]) for row in report["light_by_second"]] == [(4, 8), (8, 4)]


def test_light_without_pairs(axes, passes, labels):
    """Nothing is claimed."""
    alone = passes._replace(full=passes.full * float("nan"))

    assert round_report(axes, alone, labels, round_tables(axes, passes, labels))["light"] == {"pairs": 0}


def test_uncertainty_weights(report):
    """Beside none, photo by photo, where the probe lies."""
    rows = report["uncertainty_weights"]

    assert [(row["weight"], row["accuracy"]) for row in rows] == [(0.0, 0.5), (0.5, 0.5), (1.0, 0.75), (2.0, 0.5)]
    assert rows[0]["difference"] == [0, 0, 0]
    assert rows[2]["difference"][0] == 0.25
    assert {(row["codec"], row["first"], row["second"]) for row in rows} == {("jpeg", 16, 8)}


def test_uncertainty_weights_that_were_not_tried(axes, passes, labels):
    """No row."""
    without = passes._replace(weighted=passes.weighted * float("nan"))

    assert round_report(axes, without, labels, round_tables(axes, passes, labels))["uncertainty_weights"] == []


def test_frontier(report):
    """Ever more bytes for ever more accuracy: a first round alone, then a second one for one photo of four."""
    first, second = report["frontier"]

    assert (first["codec"], first["first"], first["second"], first["accuracy"]) == ("webp", 4, 0, 0.5)
    assert (second["codec"], second["second"], second["accuracy"], second["asked"]) == ("webp", 4, 0.75, 0.25)
    assert first["bytes"] < second["bytes"]
