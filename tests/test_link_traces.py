"""What races over changing links are run over: made-up and recorded traces, in cells."""

from __future__ import annotations

import link_traces as traces
import numpy as np
import pytest

from edge_runtime.scheduling.traces import recorded


def test_links_stay_within_the_range():
    """0.5 to 20 Mbit/s, of which every trace sees both ends, and the same each time."""
    found = traces.traces(traces.SECONDS)
    for trace in found.values():
        rates = np.array([rate for _, rate in trace.steps])
        assert 0.999 * traces.SLOWEST <= rates.min() <= 2 * traces.SLOWEST
        assert 0.5 * traces.FASTEST <= rates.max() <= 1.001 * traces.FASTEST
    assert [rate for _, rate in found["steps"].steps] == [traces.FASTEST, traces.SLOWEST, traces.FASTEST]
    assert {name: trace.steps for name, trace in traces.traces(traces.SECONDS).items()} == {
        name: trace.steps for name, trace in found.items()
    }


def test_a_recorded_one(tmp_path):
    """A file of seconds and Mbit/s makes a cell for each deadline."""
    (tmp_path / "drive.csv").write_text("seconds,mbit\n0,8\n1,4\n")
    found = traces.cells({"drive": recorded(tmp_path / "drive.csv")}, [120.0, 200.0], 2.4)
    assert [(cell.name, cell.deadline_s, cell.photos) for cell in found] == [
        ("drive", pytest.approx(0.12), 20),
        ("drive", pytest.approx(0.2), 12),
    ]
    assert found[0].link.bandwidth.at(1.5) == pytest.approx(4 * traces.MBIT)


def test_options_name_the_cells(tmp_path):
    """Every trace, made up or recorded, with every deadline, for the seconds asked for."""
    (tmp_path / "drive.csv").write_text("seconds,mbit\n0,8\n1,4\n")
    parser = traces.race_options("A race.", "any", [120.0, 200.0])
    given = ["--bundle", "b", "--data", "d", "--out", "o", "--seconds", "6"]
    assert len(traces.asked_for(parser.parse_args(given))) == 6
    found = traces.asked_for(
        parser.parse_args([*given, "--recorded", str(tmp_path / "drive.csv"), "--deadlines", "100"])
    )
    assert [cell.name for cell in found] == ["steps", "jumps", "walk", "drive"]
    assert {(cell.deadline_s, cell.photos) for cell in found} == {(0.1, 60)}
