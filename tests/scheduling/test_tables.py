"""Reading, writing and looking up what was measured."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling.tables import Level, Tables, load, save, seconds


def test_tables_are_read_as_they_were_written(tables: Tables, tmp_path: Path) -> None:
    """Nothing is lost on the way through the file."""
    save(tables, tmp_path / "tables.json")
    assert load(tmp_path / "tables.json") == tables


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2 is not supported"),
        ({"local_s": {}}, "local_s is empty"),
        ({"local_s": {"0": 1.0}}, "local_s"),
        ({"bandwidth": 0}, "bandwidth"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_file_is_refused_by_name(
    tables: Tables, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    """One line that names the file and what is wrong in it."""
    path = tmp_path / "tables.json"
    path.write_bytes(msgspec.json.encode({**msgspec.to_builtins(tables, str_keys=True), **change}))
    with pytest.raises(ArgumentError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_file_names_the_command_that_writes_it(tmp_path: Path) -> None:
    """The fix is in the message."""
    with pytest.raises(ArgumentError, match="profile --for-scheduler"):
        load(tmp_path / "none.json")


def test_what_is_not_in_the_tables_is_refused_with_what_is(tables: Tables) -> None:
    """A cut and a level are asked for by name."""
    with pytest.raises(ArgumentError, match="'middle' is not in the tables; they have photos, early, late"):
        tables.site("middle")
    with pytest.raises(ArgumentError, match="'ff q1' is not in the tables of early; they have ff q10, ff q40"):
        tables.site("early").level("ff q1")
    assert tables.site("early").level("uniform 8 bit").quality == 8
    assert tables.site("early").level("half").codec == "half"


def test_a_level_is_within_a_loss_only_by_its_standard_error() -> None:
    """What was measured on few photos must be better to be believed."""
    level = Level("ff", 40, 1000, 0, 0, loss=0.008, loss_error=0.003)
    assert level.within(0.011)
    assert not level.within(0.01)


@pytest.mark.parametrize(
    ("batch", "expected"), [(1, 0.01), (4, 0.022), (2, 0.014), (3, 0.018), (8, 0.038), (6, 0.03), (16, 0.07)]
)
def test_times_between_measured_sizes_are_on_the_line(batch: int, expected: float) -> None:
    """Measured at 1, 4 and 8; beyond 8 on the last line."""
    assert seconds({1: 0.01, 4: 0.022, 8: 0.038}, batch) == pytest.approx(expected)


def test_nothing_to_compute_takes_no_time_and_one_size_is_scaled() -> None:
    """The two cases without a line."""
    assert seconds({}, 7) == 0.0
    assert seconds({4: 0.02}, 6) == pytest.approx(0.03)


@given(st.dictionaries(st.integers(1, 64), st.floats(1e-4, 10), min_size=1), st.integers(1, 128))
def test_times_are_always_positive(times: dict[int, float], batch: int) -> None:
    """However noisy the measurements, no line is followed below zero."""
    assert seconds(times, batch) > 0


def test_a_slower_device_computes_and_encodes_slower_and_nothing_else(tables: Tables) -> None:
    """Server, link and losses stay."""
    slowed = tables.slowed(3)
    late, was = slowed.site("late"), tables.site("late")
    assert slowed.local_s[4] == pytest.approx(3 * tables.local_s[4])
    assert late.device_s[4] == pytest.approx(3 * was.device_s[4])
    assert late.levels[0].encode_s == pytest.approx(3 * was.levels[0].encode_s)
    assert late.server_s == was.server_s
    assert late.levels[0].decode_s == was.levels[0].decode_s
