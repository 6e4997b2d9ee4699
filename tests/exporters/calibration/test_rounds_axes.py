"""Which plans may be measured."""

from __future__ import annotations

import re

import pytest

from edge_runtime.control.rounds import Setting
from edge_runtime.errors import ArgumentError
from exporters.calibration.rounds_axes import Axes


def test_any_order():
    """The tables' order is made, and what has no second round is always measured."""
    jpeg, webp = Setting("jpeg", 75), Setting("webp", 20)
    given = Axes((jpeg, webp, jpeg), first=(9, 4, 9), second=(6, 2), below=(0.9, 0.5))

    assert given.ordered() == Axes((jpeg, webp), (4, 9), (0, 2, 6), (0.5, 0.9))


def test_defaults_fit_a_frame_of_the_zoo():
    """They are in order, too."""
    Axes().check(196)

    assert Axes().ordered() == Axes()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"first": (0, 4)}, "first: 0 is outside 1..16"),
        ({"first": (4, 17)}, "first: 17 is outside 1..16"),
        ({"second": (-1,)}, "second: -1 is outside 0..16"),
        ({"below": (0.5, 1.5)}, "below: 1.5 is outside 0..1"),
        ({"below": (float("nan"),)}, "below: nan is outside 0..1"),
    ],
)
def test_what_cannot_be_measured(wrong, message):
    """It is refused before anything is computed."""
    with pytest.raises(ArgumentError, match=re.escape(message)):
        Axes(first=(4,), second=(0,))._replace(**wrong).check(16)
