"""Timing calls in rounds until their medians are known well enough.

Every round takes one sample of each call that is not settled, in an order that turns round each time, so that what else
the machine does falls on all of them alike. Beside each sample stands the time of a chain of additions, which counts
cycles: a clock that changes moves both.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime.profiling.report import Estimate, Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from tqdm import tqdm

# Long enough for the clock, short enough that a disturbance spoils one sample and not the row.
SAMPLE_S = 2e-3
LEAST_SAMPLES, MOST_SAMPLES = 15, 400
# After so many samples a call is made anew: where its arrays lie in memory changes what it takes.
PLACED = 5
# A median is known well enough when its interval reaches no further than this to either side.
NARROW = 0.02
CHAINS, CHAIN_TRIES = 8, 2
NORMAL_95 = 1.96
MIDDLE, SLOW, QUICK = 0.5, 0.95, 0.1


class Task(NamedTuple):
    """A call to time; ``prepare`` runs before each sample, ``make`` now and then, for the call; neither is timed."""

    name: str
    make: Callable[[], Callable[[], Any]]
    prepare: Callable[[], Any] = nullcontext


class Sample(NamedTuple):
    """When it began, on the clock of ``time.perf_counter``; how long it took by that clock; calls; seconds of one.

    ``cycle_s`` is a cycle's length at that time, None where nothing counts cycles.
    """

    start: float
    wall_s: float
    calls: int
    seconds: float
    cycle_s: float | None


@dataclass
class Timed:
    """What was measured of a task so far."""

    task: Task
    call: Callable[[], Any]
    first: float
    calls: int
    samples: list[Sample] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether more samples would change little."""
        return len(self.samples) >= MOST_SAMPLES or (len(self.samples) >= LEAST_SAMPLES and narrow(self.samples))


class Chain(NamedTuple):
    """A loop that takes so many ``cycles``."""

    run: Callable[[], None]
    cycles: int


def cycle_length(clock: Callable[[], float], chain: Chain | None) -> float | None:
    """Seconds of a cycle now; None where nothing counts them."""
    if chain is None:
        return None
    tries = []
    for _ in range(CHAIN_TRIES):
        start = clock()
        for _ in range(CHAINS):
            chain.run()
        tries.append(clock() - start)
    return min(tries) / (CHAINS * chain.cycles)


def shorter(before: float | None, after: float | None) -> float | None:
    """A cycle's length between two measurements: a disturbance only ever makes one longer."""
    return None if before is None or after is None else min(before, after)


def begin(task: Task, clock: Callable[[], float]) -> Timed:
    """Make the call, run it a few times, and choose how many calls make a sample."""
    task.prepare()
    call = task.make()
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    taken = _mean_s(call, 1, clock)
    if taken < SAMPLE_S:
        taken = min(_mean_s(call, 1, clock) for _ in range(3))
    return Timed(task, call, first, max(1, int(SAMPLE_S / max(taken, 1e-9))))


def measure(
    tasks: Sequence[Task],
    budget_s: float,
    *,
    clock: Callable[[], float] = time.thread_time,
    chain: Chain | None = None,
    progress: tqdm | None = None,
    after_round: Callable[[], Any] = nullcontext,
) -> list[Timed]:
    """Time all tasks until every one is settled, or the budget is spent and each has a sample or more.

    First calls, which may compile, are not of the budget.
    """
    found = []
    for task in tasks:
        found.append(begin(task, clock))
        if progress is not None:
            progress.update()
    end = time.perf_counter() + budget_s
    for turn in range(MOST_SAMPLES):
        rest = [timed for timed in found if not timed.settled]
        for timed in rest if turn % 2 else rest[::-1]:
            if timed.samples and time.perf_counter() > end:
                continue
            timed.samples.append(_sample(timed, clock, chain))
        after_round()
        if not rest or time.perf_counter() > end:
            break
        if progress is not None:
            progress.set_postfix_str(f"{len(rest)} of {len(found)} not settled")
    return found


def _sample(timed: Timed, clock: Callable[[], float], chain: Chain | None) -> Sample:
    timed.task.prepare()
    if timed.samples and len(timed.samples) % PLACED == 0:
        # The old one goes last, so that the new one cannot lie where it lay.
        timed.call = timed.task.make()
        timed.call()
    before = cycle_length(clock, chain)
    start = time.perf_counter()
    seconds = _mean_s(timed.call, timed.calls, clock)
    wall_s = time.perf_counter() - start
    return Sample(start, wall_s, timed.calls, seconds, shorter(before, cycle_length(clock, chain)))


def _mean_s(call: Callable[[], Any], calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(calls):
        call()
    return (clock() - start) / calls


def timing(samples: Sequence[Sample], first: float) -> Timing:
    """What the samples say of one call."""
    seconds = np.array([sample.seconds for sample in samples])
    low, high = np.quantile(seconds, [0.25, 0.75])
    middle = estimate(seconds, MIDDLE)
    cycles = cycles_of(samples)
    return Timing(
        p50=middle,
        p95=float(np.quantile(seconds, SLOW)),
        spread=float((high - low) / middle.value),
        samples=len(samples),
        stable=len(samples) >= LEAST_SAMPLES and narrow(samples),
        first=first,
        quick=estimate(seconds if cycles is None else cycles, QUICK),
        unit="seconds" if cycles is None else "cycles",
    )


def cycles_of(samples: Sequence[Sample]) -> NDArray[np.float64] | None:
    """Cycles of one call by sample, None where nothing counted them."""
    found = [sample.seconds / sample.cycle_s for sample in samples if sample.cycle_s is not None]
    return np.array(found) if len(found) == len(samples) else None


def narrow(samples: Sequence[Sample]) -> bool:
    """Whether the median is known well enough: in cycles where they were counted."""
    cycles = cycles_of(samples)
    found = estimate(np.array([sample.seconds for sample in samples]) if cycles is None else cycles, MIDDLE)
    return max(found.high - found.value, found.value - found.low) <= NARROW * found.value


def estimate(values: NDArray[np.float64], quantile: float) -> Estimate:
    """A quantile with its 95 % interval by ranks, which supposes nothing of the distribution."""
    ordered = np.sort(values)
    count = len(ordered)
    reach = NORMAL_95 * math.sqrt(count * quantile * (1 - quantile))
    low, high = max(math.floor(count * quantile - reach), 0), min(math.ceil(count * quantile + reach), count - 1)
    return Estimate(float(np.quantile(ordered, quantile)), float(ordered[low]), float(ordered[high]))
