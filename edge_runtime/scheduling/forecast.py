"""What every plan would do at one moment: rate, latency and the stages behind them, for all plans in one go.

The formulas are the modes' of the reconstruction (docs/systems/bps.md), with one bottleneck per period: the device, the
link and the server each do one thing at a time, and overlap as far as a plan's requests in flight let them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling.plans import BATCHES, LOCAL, MOST_IN_FLIGHT, PIPELINED, Plan
from edge_runtime.scheduling.tables import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edge_runtime.scheduling.state import State
    from edge_runtime.scheduling.tables import Level, Site, Tables

    F64 = NDArray[np.float64]

# Frames of the local runs that fill a hybrid's idle time: short ones, for the next request must not wait long.
HYBRID_RUNS = (1, 4)


@dataclass(frozen=True, slots=True)
class Stages:
    """One plan foreseen: seconds per request of ``device``, ``link`` and ``server``, and of the ``local`` run beside.

    ``rate`` in frames a second, ``latency_s`` from a frame's turn to its answer, ``payload_bytes`` per frame.
    """

    plan: Plan
    rate: float
    latency_s: float
    device_s: float
    link_s: float
    server_s: float
    local_s: float
    payload_bytes: float
    loss: float


class Forecast:
    """The forecasts of many plans for one state; every array is ``[plans]``."""

    def __init__(self, costs: Costs, state: State) -> None:
        self._costs = costs
        link, sends = state.link, costs.sends
        self.device_s = costs.device_s * state.device_factor
        self.local_s = costs.local_s * state.device_factor
        self.link_s = costs.request_bytes / link.bandwidth
        self.server_s = costs.server_s * state.server_factor
        alone_s = self.device_s + self.link_s + link.round_trip_s + costs.reply_bytes / link.bandwidth + self.server_s
        busiest_s = np.maximum(np.maximum(self.device_s, self.link_s), self.server_s)
        # Enough requests to keep the busiest stage busy, also while the device is at a local run.
        waits_s = alone_s + np.where(costs.fills, self.local_s, 0.0)
        self.in_flight = np.minimum(costs.most_in_flight, np.ceil(waits_s / np.maximum(busiest_s, 1e-9)) + 1)
        # A local plan sends nothing, and over a link without delay that takes no time at all.
        period_s = np.maximum(np.maximum(busiest_s, waits_s / self.in_flight), 1e-9)
        with_local_s = np.maximum(period_s, self.device_s + self.local_s)
        idle = np.maximum(1 - self.device_s / period_s, 0.0)
        local_rate = costs.local_frames / np.maximum(self.local_s, 1e-9)
        # Not by np.select, which takes as long as all the rest.
        remote_rate = costs.frames / np.where(costs.beside, with_local_s, period_s)
        self.rate: F64 = np.where(sends, remote_rate + costs.fills * idle * local_rate, local_rate)
        self.latency_s: F64 = np.where(sends, np.maximum(waits_s, costs.beside * with_local_s), self.local_s)
        # Under more frames than it can answer, all its requests are under way, and a frame waits for a full batch.
        filling_s = costs.frames / np.maximum(state.arrival_rate, 1e-9)
        self.full_latency_s: F64 = filling_s + np.maximum(self.latency_s, self.in_flight * period_s * sends)
        self.possible: NDArray[np.bool_] = ~sends if not link.reachable else np.ones(len(sends), bool)

    def stages(self, index: int) -> Stages:
        """One plan's forecast, with the requests in flight that it needs."""
        plan = self._costs.plans[index]
        return Stages(
            plan=replace(plan, in_flight=int(self.in_flight[index])) if plan.sends else plan,
            rate=float(self.rate[index]),
            latency_s=float(self.latency_s[index]),
            device_s=float(self.device_s[index]),
            link_s=float(self.link_s[index]),
            server_s=float(self.server_s[index]),
            local_s=float(self.local_s[index]),
            payload_bytes=float(self._costs.payload_bytes[index]),
            loss=float(self._costs.loss[index]),
        )


class Costs:
    """What each of ``plans`` costs by the tables, as arrays ``[plans]``: all of a forecast that no state changes."""

    def __init__(self, tables: Tables, plans: Sequence[Plan]) -> None:
        self.tables = tables
        self.plans = tuple(plans)
        self.sends = np.array([plan.sends for plan in plans])
        self.beside = np.array([plan.mode == "data-parallel" for plan in plans])
        self.fills = np.array([plan.mode == "hybrid" for plan in plans])
        self.most_in_flight = np.array([MOST_IN_FLIGHT if plan.mode in PIPELINED else 1 for plan in plans], float)
        self.local_frames = np.array([local_frames(plan) for plan in plans], float)
        self.local_s = np.array([local_seconds(tables, plan) for plan in plans])
        self.device_s = np.array([device_seconds(tables, plan) for plan in plans])
        self.server_s = np.array([server_seconds(tables, plan) for plan in plans])
        sent = np.array([sent_frames(plan) for plan in plans], float)
        levels = [level_of(tables, plan) for plan in plans]
        self.payload_bytes = np.array([level.payload_bytes if level else 0.0 for level in levels])
        self.loss = np.array([worst_loss(tables, plan) for plan in plans])
        self.request_bytes = np.array([request_bytes(tables, plan) for plan in plans])
        self.reply_bytes = np.where(self.sends, tables.reply_bytes, 0.0)
        # Of one period: a request's frames and those computed beside it, or a local run's.
        self.frames = np.where(self.fills, sent, sent + self.local_frames)

    def forecast(self, state: State) -> Forecast:
        """Every plan in ``state``."""
        return Forecast(self, state)


def candidates(tables: Tables, most_loss: float) -> list[Plan]:
    """Every plan that loses no more than ``most_loss`` of the right answers (a share, 0.01 is a point).

    At each site the levels that are within it and that no other beats in bytes and in encoding time alike. One frame
    here is among them whatever it loses, for it is all that is left without a link. Raises ArgumentError for a loss
    below 0.
    """
    if most_loss < 0:
        raise ArgumentError(f"most_loss: {most_loss} is below 0")
    sending: list[Plan] = []
    for site in tables.sites:
        for level in useful_levels(site, most_loss):
            sending += _sending(site.cut, level.name, [size for size in BATCHES if size <= tables.largest_batch])
    if not tables.local_within(most_loss):
        return [LOCAL, *(plan for plan in sending if not plan.local)]
    return [Plan("local", batch) for batch in BATCHES] + sending


def useful_levels(site: Site, most_loss: float) -> list[Level]:
    """The levels within ``most_loss`` that no other one within it beats in bytes and encoding time.

    None at a site that was not timed, which would seem to cost nothing.
    """
    if not site.timed:
        return []
    good = [level for level in site.levels if level.codec in {"jpeg", "ff"} and level.within(most_loss)]
    return [level for level in good if not any(_beats(other, level) for other in good)]


def _beats(one: Level, other: Level) -> bool:
    # Encoding times of neighbouring qualities differ by noise: only a clear gain counts.
    return one.payload_bytes < other.payload_bytes and one.encode_s < 1.25 * other.encode_s + 5e-5


def _sending(cut: str, level: str, batches: Sequence[int]) -> Iterator[Plan]:
    for batch in batches:
        if cut:
            yield Plan("split", batch, cut, level)
            yield Plan("split-pipeline", batch, cut, level)
        else:
            yield Plan("remote", batch, cut, level)
            for local in range(1, batch):
                yield Plan("data-parallel", batch, cut, level, local)
        for local in HYBRID_RUNS:
            yield Plan("hybrid", batch, cut, level, local)


def sent_frames(plan: Plan) -> int:
    """Frames of one request."""
    if not plan.sends:
        return 0
    return plan.batch - plan.local if plan.mode == "data-parallel" else plan.batch


def local_frames(plan: Plan) -> int:
    """Frames of one local run."""
    return plan.local if plan.sends else plan.batch


def level_of(tables: Tables, plan: Plan) -> Level | None:
    """How finely a plan sends; None when it sends nothing."""
    return tables.site(plan.cut).level(plan.level) if plan.sends else None


def worst_loss(tables: Tables, plan: Plan) -> float:
    """The share of right answers that the worse half of a plan loses, what is sent or what is computed here."""
    level = level_of(tables, plan)
    losses = [level.loss] if level else []
    return max([*losses, tables.local_loss] if local_frames(plan) else losses)


def request_bytes(tables: Tables, plan: Plan) -> float:
    """Bytes of one request on the link; 0 when nothing is sent."""
    level = level_of(tables, plan)
    return sent_frames(plan) * level.payload_bytes + tables.request_bytes if level else 0.0


def local_seconds(tables: Tables, plan: Plan) -> float:
    """Device seconds of one local run of a plan."""
    frames = local_frames(plan)
    return seconds(tables.local_s, frames) if frames else 0.0


def device_seconds(tables: Tables, plan: Plan) -> float:
    """Device seconds of one request: the network before the cut, encoding, sending."""
    level, frames = level_of(tables, plan), sent_frames(plan)
    if level is None:
        return 0.0
    return seconds(tables.site(plan.cut).device_s, frames) + frames * level.encode_s + tables.request_s


def server_seconds(tables: Tables, plan: Plan) -> float:
    """Server seconds of one request: receiving, decoding, the network behind the cut."""
    level, frames = level_of(tables, plan), sent_frames(plan)
    if level is None:
        return 0.0
    return seconds(tables.site(plan.cut).server_s, frames) + frames * level.decode_s + tables.serving_s
