"""Which mode of slimmable encoders a frame is sent in: the most accurate one that meets the deadline.

The rule is the published one (Assine et al., WoWMoM 2023): encoding and crossing the link should take less than 0.8 of
the deadline; where no mode does, the cheapest is sent. The paper leaves round trip and server to that factor; here they
are added up, and the factor covers only what was not foreseen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.control.modes import ModeFigures

Limit = Literal["device", "link", "deadline"]

FACTOR = 0.8
# What a request and its reply put on the link beside the payload: of the TCP stream, 120 bytes and, with ten classes,
# 140.
MESSAGE_BYTES = 260


class Expected(NamedTuple):
    """Where a frame's time should go, in seconds; round trip and messages count to the link."""

    encode_s: float
    link_s: float
    server_s: float

    @property
    def total_s(self) -> float:
        """From the frame to its answer."""
        return self.encode_s + self.link_s + self.server_s


class Conditions(NamedTuple):
    """What is believed of device, link and server: ``bandwidth`` in bytes a second, the rest in seconds.

    ``encode_s[n - 1]`` is what n encoders take, coding included; ``server_s`` covers decoding, waiting and
    compute.
    """

    encode_s: Sequence[float]
    bandwidth: float
    round_trip_s: float
    server_s: float

    def crossing_s(self, size: float) -> float:
        """Seconds in which a payload of ``size`` bytes gets there and its reply back, the server aside."""
        return self.round_trip_s + (size + MESSAGE_BYTES) / self.bandwidth

    def expected(self, one: ModeFigures) -> Expected:
        """The times of a mode whose payload is as large as most are at most."""
        return Expected(self.encode_s[one.encoders - 1], self.crossing_s(one.bytes.most), self.server_s)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The mode chosen of all, best first, and why.

    ``fits`` is false where no mode is in time, so that the cheapest was chosen. ``binds`` is empty where no mode is
    better; else it names what alone, if it took no time, would allow a better one, ``deadline`` where neither would.
    """

    chosen: ModeFigures
    fits: bool
    binds: tuple[Limit, ...]
    modes: list[tuple[ModeFigures, Expected]]


def choose(modes: Sequence[ModeFigures], conditions: Conditions, left_s: float) -> ModeFigures:
    """The mode for a frame with so much time left; of equally accurate ones the smaller, then the fewer encoders."""
    fitting = [one for one in modes if fits(one, conditions, left_s)]
    return max(fitting, key=_worth) if fitting else min(modes, key=lambda one: one.mode)


def fits(one: ModeFigures, conditions: Conditions, left_s: float) -> bool:
    """Whether a mode should be answered well within the time left."""
    return conditions.expected(one).total_s < FACTOR * left_s


def explain(modes: Sequence[ModeFigures], conditions: Conditions, left_s: float) -> Explanation:
    """What `choose` makes of the same arguments, and why."""
    chosen = choose(modes, conditions, left_s)
    relieved: dict[Limit, Conditions] = {
        "device": conditions._replace(encode_s=[0.0] * len(conditions.encode_s)),
        "link": conditions._replace(bandwidth=math.inf, round_trip_s=0.0),
    }
    binds = [limit for limit, better in relieved.items() if _worth(choose(modes, better, left_s)) > _worth(chosen)]
    if not binds and chosen != max(modes, key=_worth):
        binds = ["deadline"]
    ordered = sorted(modes, key=_worth, reverse=True)
    times = [(one, conditions.expected(one)) for one in ordered]
    return Explanation(chosen, fits(chosen, conditions, left_s), tuple(binds), times)


def _worth(one: ModeFigures) -> tuple[float, float, int]:
    return one.accuracy, -one.bytes.mean, -one.encoders
