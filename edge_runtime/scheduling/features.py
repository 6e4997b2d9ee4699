"""What a learned policy sees of a state: a short vector in absolute units, the same on whatever device.

The tables enter by the device's own speed and by whether any action keeps up, so what was learnt on one device's tables
means the same on those of a slower one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.scheduling.planner import wanted_rate
from edge_runtime.scheduling.plans import MODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.scheduling.actions import Foreseen
    from edge_runtime.scheduling.state import State

# Every feature lies within these bounds either way.
LIMIT = 3.0
FEATURES = (
    "queue",  # log2(1 + frames) / 2
    "arrival_rate",  # log10 frames a second; the upper bound where infinite, the lower where unknown
    "deadline",  # log10 seconds; the upper bound where there is none
    "bandwidth",  # log10 of 100 kB/s
    "deviation",  # of the bandwidth, relative
    "round_trip",  # log10 of 10 ms
    "silence",  # log2(1 + seconds since the link last told anything)
    "reachable",
    "device",  # ln of 10 ms, what the device now takes for one frame
    "server_factor",  # ln
    "keeps_up",  # whether any feasible action has the rate that is wanted
    *(f"in force: {mode}" for mode in MODES),
)
"""Names of `features`, in order."""


def features(state: State, foreseen: Foreseen) -> NDArray[np.float32]:
    """``[len(FEATURES)]`` float32, all finite and within ±`LIMIT`."""
    link = state.link
    mode = state.plan.mode if state.plan else None
    found = (
        math.log2(1 + state.queue) / 2,
        _log10(state.arrival_rate),
        _log10(state.deadline_s),
        _log10(link.bandwidth / 1e5),
        link.deviation,
        _log10(link.round_trip_s / 1e-2),
        math.log2(1 + max(link.age_s, 0.0)),
        link.reachable,
        _log10(foreseen.local_s / 1e-2) * math.log(10),
        _log10(state.server_factor) * math.log(10),
        foreseen.best_rate >= wanted_rate(state),
        *(mode == one for one in MODES),
    )
    return np.array([min(max(value, -LIMIT), LIMIT) for value in found], np.float32)


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else -LIMIT
