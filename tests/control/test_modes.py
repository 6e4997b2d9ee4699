"""The table of modes: as written so read, and nothing of another shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.control.modes import BITS, LEVELS, ModeFigures, ModeTable
from edge_runtime.control.rounds import Bytes
from edge_runtime.errors import ArgumentError, BundleError
from edge_runtime.messages import Mode

if TYPE_CHECKING:
    from collections.abc import Callable


def test_what_is_written_is_read(modes: ModeTable) -> None:
    """The file gives the same table again."""
    assert ModeTable.load(modes.dump()) == modes
    assert json.loads(modes.dump())["modes"][0] == {
        "encoders": 1,
        "levels": 2,
        "accuracy": modes.modes[0].accuracy,
        "bytes": {"mean": 1000.0, "most": 1200.0},
    }


def test_bits_come_in_halves(modes: ModeTable) -> None:
    """Each rate is the integer next to its power of two, and only whole ones remain where those are wanted."""
    assert all(abs(2**bits - levels) <= 0.7 for bits, levels in LEVELS.items())
    assert [BITS[LEVELS[bits]] for bits in LEVELS] == list(LEVELS)
    assert {one.bits for one in modes.modes} == set(LEVELS)
    assert {one.bits for one in modes.whole_bits} == {1, 2, 3, 4}
    assert modes.modes[3].mode == Mode(1, 6)


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda found: found.update({key: value})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_set("format", 2), "format: 2 is not supported"),
        (_set("modes", []), "modes: none; give at least one"),
        (_set("teacher_accuracy", 97), "teacher_accuracy"),
        (_set("server_ms", -1), "server_ms"),
        (_set("mode", 1), "mode"),
        (lambda found: found["modes"][1].update(levels=2), "modes: 1 encoders at 2 levels twice; give each mode once"),
        (lambda found: found["modes"][1].update(levels=5), r"modes\[1\].levels"),
        (lambda found: found["modes"][1].update(encoders=0), r"modes\[1\].encoders"),
        (lambda found: found["modes"][1]["bytes"].update(most=-1), r"modes\[1\].bytes.most"),
    ],
)
def test_a_file_of_another_shape_is_refused(
    modes: ModeTable, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    """One line names the key that is wrong."""
    found = json.loads(modes.dump())
    change(found)
    with pytest.raises(BundleError, match=named) as raised:
        ModeTable.load(json.dumps(found).encode())
    assert "\n" not in str(raised.value)


def test_a_table_is_checked_where_it_is_made() -> None:
    """The exporter learns at once, not the device that reads its file."""
    twice = ModeFigures(1, 2, 0.5, Bytes(10, 20))
    with pytest.raises(ArgumentError, match="twice"):
        ModeTable(photos=1, teacher_accuracy=1, server_ms=1, modes=(twice, twice))
