"""The tables of the two rounds: as written so read, and nothing of another shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge_runtime.control.rounds import RoundTables, Temperatures
from edge_runtime.errors import ArgumentError, BundleError

if TYPE_CHECKING:
    from collections.abc import Callable


def test_what_is_written_is_read(tables: RoundTables) -> None:
    """The file gives the same tables again, what cannot be as null."""
    data = tables.dump()
    assert RoundTables.load(data) == tables
    assert json.loads(data)["accuracy"][0][-1][1] == [None] * len(tables.below)


def test_nan_is_written_as_null(tables: RoundTables) -> None:
    """So calibration may fill arrays with NaN."""
    accuracy = [[[[float("nan")] * len(tables.below)] * len(tables.second)] * len(tables.first)] * len(tables.settings)
    read = RoundTables.load(msgspec.structs.replace(tables, accuracy=accuracy).dump())
    assert read.accuracy[0][0][0][0] is None


def test_temperatures_lie_on_lines_between_their_counts(tables: RoundTables) -> None:
    """And stay as they are beyond the first and last."""
    found = [tables.temperature(count) for count in (1, 20, 59, 98, 147, 196, 400)]
    assert found == pytest.approx([1.4, 1.4, 1.25, 1.1, 1.05, 1.0, 1.0])


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda found: found.update({key: value})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_set("format", 2), "format: 2"),
        (_set("settings", []), "settings: none"),
        (_set("first", [20] * 10), "first: .* does not ascend"),
        (_set("second", [10, 20, 30, 40, 50, 60, 70]), "first, second: start with 20, 10"),
        (_set("below", [0.0, 0.5]), r"accuracy\[0\]\[0\]\[0\]: 8 entries, its axis has 2"),
        (_set("below", [0.0, 0.5, 1.5]), r"\$.below"),
        (_set("asked", []), "asked: 0 entries, its axis has 4"),
        (_set("first_bytes", [[]] * 4), r"first_bytes\[0\]: 0 entries"),
        (_set("photo", 1), "photo"),
        (lambda found: found["accuracy"][1][2][3].pop(), r"accuracy\[1\]\[2\]\[3\]: 7 entries, its axis has 8"),
        (lambda found: found["server_ms"]["update"].pop(), r"server_ms.update: 6 entries, its axis has 7"),
        (lambda found: found["temperatures"]["values"].pop(), "temperatures.values: 2 entries, its axis has 3"),
        (lambda found: found["second_bytes"][0][0].update(mean=-1), "second_bytes"),
    ],
)
def test_a_file_of_another_shape_is_refused(
    tables: RoundTables, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    """One line names the key that is wrong."""
    found = json.loads(tables.dump())
    change(found)
    with pytest.raises(BundleError, match=named) as raised:
        RoundTables.load(json.dumps(found).encode())
    assert "\n" not in str(raised.value)


def test_tables_are_checked_where_they_are_made() -> None:
    """Calibration learns at once, not the device that reads its file."""
    with pytest.raises(ArgumentError, match=r"temperatures.counts: \[98, 20\] does not ascend"):
        Temperatures((98, 20), (1.0, 1.0))
