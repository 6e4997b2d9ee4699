"""The rule by which modes are chosen, and what it says of itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from edge_runtime.control.mode_choice import FACTOR, MESSAGE_BYTES, Conditions, choose, explain, fits
from edge_runtime.control.modes import ModeFigures
from edge_runtime.control.rounds import Bytes
from edge_runtime.messages import Mode

if TYPE_CHECKING:
    from edge_runtime.control.modes import ModeTable

ENCODE_S = (0.02, 0.04, 0.06, 0.08)
QUICK = Conditions(ENCODE_S, bandwidth=1e6, round_trip_s=0.02, server_s=0.01)


def figures(encoders: int, levels: int, accuracy: float, size: float) -> ModeFigures:
    """A mode all of whose payloads are of one size."""
    return ModeFigures(encoders, levels, accuracy, Bytes(size, size))


def test_times_add_up() -> None:
    """Encoders, round trip, payload and messages over the bandwidth, server."""
    expected = QUICK.expected(ModeFigures(3, 4, 0.9, Bytes(5_000, 10_000 - MESSAGE_BYTES)))
    assert expected == pytest.approx((0.06, 0.03, 0.01))
    assert expected.total_s == pytest.approx(0.1)


def test_the_most_accurate_mode_in_time_is_chosen(modes: ModeTable) -> None:
    """Of all those that take less than 0.8 of the time left, for any time left."""
    for left_s in (0.08, 0.1, 0.12, 0.16, math.inf):
        chosen = choose(modes.modes, QUICK, left_s)
        better = [one for one in modes.modes if one.accuracy > chosen.accuracy]
        assert QUICK.expected(chosen).total_s < FACTOR * left_s
        assert not any(fits(one, QUICK, left_s) for one in better)
    assert choose(modes.modes, QUICK, math.inf).mode == Mode(4, 16)


def test_the_cheapest_mode_is_sent_when_none_is_in_time(modes: ModeTable) -> None:
    """One encoder, fewest levels: late is better than never."""
    for left_s in (0.03, 0.0, -1.0):
        assert choose(modes.modes[::-1], QUICK, left_s).mode == Mode(1, 2)


def test_equals_are_told_apart_by_bytes_then_encoders() -> None:
    """Whatever their order."""
    small, few = figures(3, 4, 0.9, 900), figures(2, 8, 0.9, 900)
    for tied in ([small, few, figures(1, 16, 0.9, 1000)], [figures(1, 16, 0.9, 1000), few, small]):
        assert choose(tied, QUICK, math.inf) == few


@pytest.mark.parametrize(
    ("change", "left_s", "binds"),
    [
        ({}, math.inf, ()),
        ({"bandwidth": 3e4, "encode_s": (1e-9,) * 4}, 0.15, ("link",)),
        ({"encode_s": (0.02, 0.2, 0.3, 0.4)}, 0.15, ("device",)),
        ({"bandwidth": 3e4}, 0.15, ("device", "link")),
        ({"server_s": 1.0}, 0.5, ("deadline",)),
    ],
)
def test_what_binds_is_what_alone_would_allow_a_better_mode(
    modes: ModeTable, change: dict[str, float], left_s: float, binds: tuple[str, ...]
) -> None:
    """A faster device, a faster link, either, neither; nothing where the best is chosen."""
    conditions = QUICK._replace(**change)
    found = explain(modes.modes, conditions, left_s)
    assert found.binds == binds
    assert found.chosen == choose(modes.modes, conditions, left_s)
    assert found.fits == fits(found.chosen, conditions, left_s)


def test_every_mode_is_explained_best_first(modes: ModeTable) -> None:
    """With the times that it should take."""
    found = explain(modes.modes, QUICK, 0.1).modes
    assert sorted(one.mode for one, _ in found) == sorted(one.mode for one in modes.modes)
    accuracies = [one.accuracy for one, _ in found]
    assert accuracies == sorted(accuracies, reverse=True)
    assert all(expected == QUICK.expected(one) for one, expected in found)
