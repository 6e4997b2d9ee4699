"""What a scheduling policy may know when it decides, and how the parts that change are learnt."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edge_runtime.control.link_estimate import LinkView
    from edge_runtime.scheduling.plans import Plan

# Weight of the newest observation.
GAIN = 0.2
# What is rarely exceeded: so many mean deviations above the mean.
DEVIATIONS = 2.0
# Arrivals looked back on for their rate.
ARRIVALS = 32


@dataclass(frozen=True, slots=True)
class State:
    """The moment of a decision.

    ``queue`` frames wait, ``arrival_rate`` come per second (infinity: as fast as they are taken), each with
    ``deadline_s`` seconds to its answer. The factors say how much longer device and server take than their tables
    have it. ``plan`` is the one in force.
    """

    queue: int
    arrival_rate: float
    deadline_s: float
    link: LinkView
    device_factor: float = 1.0
    server_factor: float = 1.0
    plan: Plan | None = None


class Policy(Protocol):
    """Anything that chooses a plan.

    ``probe`` is sent, with one frame, when nothing has crossed the link for long; None where that would tell nothing.
    """

    name: str
    probe: Plan | None

    def choose(self, state: State) -> Plan:
        """The plan for the frames at hand; never one that sends when the link is not reachable."""


class Factor:
    """How much longer something takes than foreseen: 1 is as foreseen. Learnt slowly enough to bear noise."""

    def __init__(self) -> None:
        self.value = 1.0

    def observe(self, taken_s: float, foreseen_s: float) -> None:
        """Something foreseen to take ``foreseen_s`` took ``taken_s``; what takes no time teaches nothing."""
        if foreseen_s > 0:
            self.value += GAIN * (taken_s / foreseen_s - self.value)


class Usual:
    """What something usually takes at most: moving averages of its seconds and of their deviation, as TCP has them."""

    def __init__(self) -> None:
        self._mean = self._deviation = 0.0
        self._empty = True

    @property
    def value(self) -> float:
        """Seconds, 0 before anything was seen."""
        return self._mean + DEVIATIONS * self._deviation

    def observe(self, taken_s: float) -> None:
        """It took so long this time."""
        error = taken_s - self._mean
        self._mean += error if self._empty else GAIN * error
        self._deviation += 0.0 if self._empty else GAIN * (abs(error) - self._deviation)
        self._empty = False


class ArrivalRate:
    """Frames per second over the last arrivals, a silence since then included."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=ARRIVALS)

    def arrived(self, now: float) -> None:
        """A frame came, or would have come had there been room."""
        self._times.append(now)

    def at(self, now: float) -> float:
        """The rate, 0 before two frames have come."""
        if len(self._times) < 2:
            return 0.0
        return len(self._times) / max(now - self._times[0], 1e-6)
