"""What BPS is compared with: policies for the same executor and simulator, each one idea of the literature alone.

They see the same measured link and the same factors as the planner, may lose as much, and answer here when the link is
gone: each is as strong as its idea. Feature maps travel as their papers have them, uncompressed; as float16, half of
the papers' bytes. The networks' cuts and batches are timed, not predicted (see `regression`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.scheduling.dads import Dads
from edge_runtime.scheduling.forecast import Costs, useful_levels
from edge_runtime.scheduling.planner import cheapest, within
from edge_runtime.scheduling.plans import BATCHES, LOCAL, Plan
from edge_runtime.scheduling.state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.scheduling.forecast import Forecast
    from edge_runtime.scheduling.state import Policy
    from edge_runtime.scheduling.tables import Tables

UNCOMPRESSED, EIGHT_BIT = "half", "uniform 8 bit"
# Frames that static data parallelism divides.
STATIC_BATCH = 8


class _BestOf(ABC):
    """Takes one of ``plans`` by its forecast: of those that are possible and in time, where any is."""

    def __init__(self, name: str, tables: Tables, plans: Sequence[Plan]) -> None:
        self.name = name
        self.costs = Costs(tables, plans)
        self.probe = cheapest(self.costs)

    def choose(self, state: State) -> Plan:
        """The best plan now; local where none is possible."""
        forecast = self.costs.forecast(state)
        usable = within(forecast.possible, forecast.latency_s, state.deadline_s)
        return self._best(forecast, usable) if usable.any() else LOCAL

    @abstractmethod
    def _best(self, forecast: Forecast, usable: NDArray[np.bool_]) -> Plan:
        """The best of the usable ones, of which there is one at least."""


class OneAtATime(_BestOf):
    """The plan with the fewest seconds a frame, when each request waits for the one before.

    For plans of one frame that is the one with the lowest latency.
    """

    def _best(self, forecast: Forecast, usable: NDArray[np.bool_]) -> Plan:
        each_s = np.where(usable, forecast.latency_s / self.costs.frames, np.inf)
        return self.costs.plans[int(each_s.argmin())]


class Pipelined(_BestOf):
    """The plan with the highest rate, with as many requests as it needs under way, which overlap."""

    def _best(self, forecast: Forecast, usable: NDArray[np.bool_]) -> Plan:
        return forecast.stages(int(np.where(usable, forecast.rate, -np.inf).argmax())).plan


def baselines(tables: Tables, most_loss: float) -> list[Policy]:
    """All baselines; photos lose at most ``most_loss`` of the right answers, as a share.

    ``dads`` needs networkx; raises EdgeRuntimeError where it is missing.
    """
    photos = [level.name for level in useful_levels(tables.site(""), most_loss)]
    batches = [size for size in BATCHES if size <= tables.largest_batch]
    single = [Plan("remote", 1, "", level) for level in photos]
    runs = [Plan("local", batch) for batch in BATCHES]
    return [
        OneAtATime("local", tables, [LOCAL]),
        OneAtATime("remote", tables, single),
        OneAtATime("static data parallel", tables, [_static_share(tables, photos)]),
        OneAtATime("neurosurgeon", tables, [LOCAL, *single, *_cuts(tables, UNCOMPRESSED)]),
        OneAtATime("neurosurgeon 8 bit", tables, [LOCAL, *single, *_cuts(tables, EIGHT_BIT)]),
        Dads(tables, [*single, *_cuts(tables, UNCOMPRESSED)]),
        OneAtATime("batch only", tables, [*runs, *(Plan("remote", n, "", level) for level in photos for n in batches)]),
        Pipelined("pipeline only", tables, [LOCAL, *single]),
    ]


def _static_share(tables: Tables, photos: Sequence[str]) -> Plan:
    """How a batch is best divided over the link as it was profiled."""
    batch = min(STATIC_BATCH, tables.largest_batch)
    plans = [Plan("local", batch)]
    for level in photos:
        plans.append(Plan("remote", batch, "", level))
        plans += [Plan("data-parallel", batch, "", level, local) for local in range(1, batch)]
    profiled = State(batch, math.inf, math.inf, LinkView(tables.bandwidth, tables.round_trip_s))
    return OneAtATime("shares", tables, plans).choose(profiled)


def _cuts(tables: Tables, level: str) -> list[Plan]:
    """One frame a request from every cut whose maps were measured at ``level``."""
    sites = [site for site in tables.sites if site.cut and site.timed and any(one.name == level for one in site.levels)]
    return [Plan("split", 1, site.cut, level) for site in sites]
