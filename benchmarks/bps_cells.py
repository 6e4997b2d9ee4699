"""What the scheduler's race is run on: its cells, its tables and photos, and the policies that meet in each cell."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from edge_runtime.evaluation.bps import Scenario
from edge_runtime.evaluation.trace_syntax import parse_arrivals, parse_trace
from edge_runtime.scheduling.baselines import baselines
from edge_runtime.scheduling.learned import LearnedPolicy
from edge_runtime.scheduling.planner import Planner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.labelled_photos import Photo
    from edge_runtime.models import Bundle
    from edge_runtime.scheduling.state import Policy
    from edge_runtime.scheduling.tables import Tables

MBIT = 1e6 / 8
BANDWIDTHS = (0.25, 1, 4, 16, 64)
SLOWER = (1, 4, 10)
ROUND_TRIP_S = 0.02
# A camera's frames, alone and as motion brings them, with a deadline; and as many as can be done, without.
ARRIVALS = {"steady": "steady:30", "bursty": "bursts:30x16", "saturating": "saturating"}
DEADLINE_S = 1.0
# A baseline may fix its plan by the link of the profile: the zoo's was a loopback, which is none.
PROFILED_MBIT = 4


@dataclass(frozen=True)
class Cell:
    """A link in Mbit/s, a device so many times slower than this machine, and a kind of arrivals."""

    mbit: float
    slower: int
    arrivals: str

    def scenario(self, seconds: float) -> Scenario:
        """The cell for so long."""
        return Scenario(
            trace=parse_trace(f"{self.mbit:g}mbit/{1e3 * ROUND_TRIP_S:g}ms", seconds),
            arrivals=parse_arrivals(ARRIVALS[self.arrivals], seconds),
            duration_s=seconds,
            deadline_s=math.inf if self.arrivals == "saturating" else DEADLINE_S,
            repeat=self.slower,
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Subject:
    """What is raced: a bundle, its tables, photos for real runs, and the share of right answers that may be lost."""

    bundle: Bundle
    tables: Tables
    photos: Sequence[Photo] = ()
    most_loss: float = 0.01

    def policies(self, slower: int) -> list[Policy]:
        """For a device so many times slower: the scheduler, what the bundle has learned, and every baseline."""
        tables = self.tables.slowed(slower)
        return [Planner.of(tables, self.most_loss), *self.learned(slower), *baselines(tables, self.most_loss)]

    def learned(self, slower: int) -> list[Policy]:
        """The learned policy, where the bundle has one."""
        policy = self.bundle.manifest.policy
        if policy is None:
            return []
        return [LearnedPolicy(self.bundle.read(policy), self.tables.slowed(slower), self.most_loss)]


def over_the_middle_link(tables: Tables) -> Tables:
    """The tables as a profile over the grid's middle link would have them."""
    return msgspec.structs.replace(tables, bandwidth=PROFILED_MBIT * MBIT, round_trip_s=ROUND_TRIP_S)
