"""What a learned policy sees of a state: a vector of the same length for the same actions, on whatever tables.

Beside the state itself stand the forecasts of every action, relative to the best of them, so that what was learnt on
one device's tables means the same on another's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.scheduling.planner import wanted_rate
from edge_runtime.scheduling.plans import MODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.scheduling.actions import ActionSet, Foreseen
    from edge_runtime.scheduling.plans import Plan
    from edge_runtime.scheduling.state import State

# Every feature lies within these bounds either way.
LIMIT = 3.0
# What it costs to be e times as slow as the quickest plan that keeps up, and to change the mode, in shares of the best
# plan's frames: here and in the training's reward.
SLOWNESS = 0.05
CHANGE = 0.02
STATE_FEATURES = (
    "queue",  # log2(1 + frames) / 2
    "arrival_rate",  # log10 frames a second, 3 where infinite, -3 where unknown
    "deadline",  # log10 seconds, 3 where there is none
    "bandwidth",  # log10 of 100 kB/s
    "deviation",  # of the bandwidth, relative
    "round_trip",  # log10 of 10 ms
    "silence",  # log2(1 + seconds since the link last told anything)
    "reachable",
    "device_factor",  # ln
    "server_factor",  # ln
    "keeps_up",  # whether any action has the rate that is wanted
    *(f"in force: {mode}" for mode in MODES),
)


def feature_names(plans: Sequence[Plan]) -> list[str]:
    """The names of `features` for these actions, in order; the merits come last."""
    blocks = [[f"{kind}: {plan.name}" for plan in plans] for kind in ("rate", "latency", "merit")]
    return [*STATE_FEATURES, *(name for block in blocks for name in block)]


def features(state: State, foreseen: Foreseen, actions: ActionSet) -> NDArray[np.float32]:
    """``[len(feature_names)]`` float32, all finite and within ±`LIMIT`.

    Of each action: the log of its rate relative to the best one's, of its latency relative to the shortest, and its
    merit as a share of the best plan's reward: 1 for the best, less by the planner's relative difference (times
    `SLOWNESS` where some action keeps up and only latency is compared), less `CHANGE` where it changes the mode in
    force; -1 where it is not feasible, or the planner would never take it.
    """
    forecast, merit, feasible = foreseen
    rate, latency_s = forecast.rate, forecast.latency_s
    best_rate = float(rate[feasible].max())
    keeps_up = best_rate >= wanted_rate(state)
    weighed = 1.0 + (SLOWNESS if keeps_up else 1.0) * (merit - merit[feasible].max())
    if state.plan is not None:
        weighed -= CHANGE * (actions.modes != MODES.index(state.plan.mode))
    blocks = [
        _scalars(state, keeps_up=keeps_up),
        np.log(rate / best_rate),
        np.log(latency_s / float(latency_s[feasible].min())),
        np.where(feasible, np.maximum(weighed, -1.0), -1.0),
    ]
    found: NDArray[np.float64] = np.concatenate(blocks)
    return np.minimum(np.maximum(found, -LIMIT), LIMIT).astype(np.float32)


def _scalars(state: State, *, keeps_up: bool) -> list[float]:
    link = state.link
    mode = state.plan.mode if state.plan else None
    return [
        math.log2(1 + state.queue) / 2,
        _log10(state.arrival_rate),
        _log10(state.deadline_s),
        _log10(link.bandwidth / 1e5),
        link.deviation,
        _log10(link.round_trip_s / 1e-2),
        math.log2(1 + max(link.age_s, 0.0)),
        float(link.reachable),
        _log10(state.device_factor) * math.log(10),
        _log10(state.server_factor) * math.log(10),
        float(keeps_up),
        *(float(mode == one) for one in MODES),
    ]


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else -LIMIT
