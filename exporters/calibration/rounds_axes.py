"""Which plans of two rounds are measured: the axes of the tables."""

from __future__ import annotations

from typing import NamedTuple

from edge_runtime.control.rounds import Setting
from edge_runtime.errors import ArgumentError


class Axes(NamedTuple):
    """Codec settings, patches of the first and of the second round (ascending, ``second`` from 0), and confidences.

    The defaults are dense where the answer gains most from a patch more.
    """

    settings: tuple[Setting, ...] = (
        Setting("webp", 10),
        Setting("webp", 20),
        Setting("webp", 35),
        Setting("webp", 50),
        Setting("jpeg", 35),
    )
    first: tuple[int, ...] = (20, 29, 49, 69, 98, 196)
    second: tuple[int, ...] = (0, 15, 35, 50, 98)
    below: tuple[float, ...] = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 0.985, 1.0)

    def ordered(self) -> Axes:
        """The same plans in the tables' order, each once, and those without a second round."""
        return Axes(
            tuple(dict.fromkeys(self.settings)),
            tuple(sorted(set(self.first))),
            tuple(sorted({0, *self.second})),
            tuple(sorted(set(self.below))),
        )

    def check(self, patches: int) -> None:
        """Raise ArgumentError for what cannot be measured on a frame of ``patches`` patches."""
        for name, values, least, most in (
            ("first", self.first, 1, patches),
            ("second", self.second, 0, patches),
            ("below", self.below, 0, 1),
        ):
            wrong = [value for value in values if not least <= value <= most]
            if wrong:
                raise ArgumentError(f"{name}: {wrong[0]} is outside {least}..{most}")
