"""How a link, a load or a device changes over time, and when frames come: recorded or made up, always repeatable."""

from __future__ import annotations

import bisect
import csv
import itertools
import math
import random
from typing import TYPE_CHECKING

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


class Trace:
    """A value over time, constant between its steps; before the first step it has the first value.

    ``steps`` are (second, value), rising in time, values positive. Raises ArgumentError.
    """

    def __init__(self, steps: Sequence[tuple[float, float]]) -> None:
        if not steps or any(value <= 0 for _, value in steps):
            raise ArgumentError(f"trace: {len(steps)} steps; give at least one, every value above 0")
        self._times = [time for time, _ in steps]
        self._values = [value for _, value in steps]
        if self._times != sorted(set(self._times)):
            raise ArgumentError("trace: its times do not rise; sort them and give each once")

    @classmethod
    def constant(cls, value: float) -> Trace:
        """Always ``value``."""
        return cls([(0.0, value)])

    @property
    def steps(self) -> list[tuple[float, float]]:
        """(second, value) of every step."""
        return list(zip(self._times, self._values, strict=True))

    def at(self, time: float) -> float:
        """The value at ``time``."""
        return self._values[max(bisect.bisect_right(self._times, time) - 1, 0)]

    def finish(self, start: float, amount: float) -> float:
        """When ``amount`` is through that starts at ``start``, if the value is a rate."""
        index = max(bisect.bisect_right(self._times, start) - 1, 0)
        while index + 1 < len(self._times) and (end := self._times[index + 1]) - start < amount / self._values[index]:
            amount -= (end - start) * self._values[index]
            start, index = end, index + 1
        return start + amount / self._values[index]


def markov(levels: Sequence[float], stay_s: float, duration_s: float, seed: int) -> Trace:
    """Jumps between ``levels`` at random, staying ``stay_s`` seconds on average (exponentially distributed)."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    time, level, steps = 0.0, rng.randrange(len(levels)), []
    while time < duration_s:
        steps.append((time, levels[level]))
        time += max(rng.expovariate(1 / stay_s), 1e-3)
        level = rng.choice([other for other in range(len(levels)) if other != level] or [level])
    return Trace(steps)


def random_walk(low: float, high: float, every_s: float, duration_s: float, seed: int) -> Trace:
    """Walks between ``low`` and ``high`` in steps of up to a factor of 1.5 either way, one each ``every_s`` seconds."""
    rng = random.Random(seed)  # noqa: S311
    log, steps = rng.uniform(math.log(low), math.log(high)), []
    for number in range(math.ceil(duration_s / every_s)):
        steps.append((number * every_s, math.exp(log)))
        log = min(max(log + rng.uniform(-1, 1) * math.log(1.5), math.log(low)), math.log(high))
    return Trace(steps)


def recorded(path: Path) -> Trace:
    """A CSV file with columns ``seconds`` and ``mbit``; raises ArgumentError. Values become bytes a second."""
    try:
        with path.open(newline="") as file:
            steps = [(float(row["seconds"]), float(row["mbit"]) * 1e6 / 8) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise ArgumentError(f"{path}: no such file; give a CSV file with columns seconds and mbit") from None
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ArgumentError(f"{path}: {error}; it needs columns seconds and mbit, numbers only") from error
    return Trace(steps)


def steady(rate: float) -> Iterator[float]:
    """Arrival times in seconds, evenly spaced, ``rate`` a second; endless, as all arrivals here."""
    return (number / rate for number in itertools.count())


def poisson(rate: float, seed: int) -> Iterator[float]:
    """Arrivals that know nothing of each other, ``rate`` a second on average."""
    rng = random.Random(seed)  # noqa: S311
    return itertools.accumulate(rng.expovariate(rate) for _ in itertools.count())


def bursts(rate: float, size: int, seed: int) -> Iterator[float]:
    """Bursts of ``size`` frames at once, ``rate`` frames a second on average; the bursts come as `poisson` has it."""
    return (time for time in poisson(rate / size, seed) for _ in range(size))


def until(times: Iterable[float], duration_s: float) -> list[float]:
    """The arrivals before ``duration_s``."""
    return list(itertools.takewhile(lambda time: time < duration_s, times))
