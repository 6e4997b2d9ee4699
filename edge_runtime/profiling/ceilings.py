"""What this machine can do at most, measured: arithmetic from registers, and memory by the size of a working set."""

from __future__ import annotations

import importlib
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.profiling.machine import cache_sizes
from edge_runtime.profiling.report import Bandwidth, Ceilings, Peak
from edge_runtime.profiling.rounds import Chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

SAMPLES = 25
SAMPLE_S = 1e-3
FLOAT_BYTES = 4
# In one call, so that the call itself does not count.
LEAST_MOVED = 1 << 22
# Arrays of a triad.
ARRAYS = 3
# Beyond all caches: so many times the largest, within these bounds.
BEYOND, LEAST_BEYOND, MOST_BEYOND = 4, 1 << 26, 1 << 28
# A cache holds more than the arrays.
FILLED = 0.5
# Where sysfs does not tell, what the smallest boards have.
USUAL_CACHES = (("L1", 32 << 10), ("L2", 512 << 10))


def limits() -> Any | None:
    """`edge_runtime.kernels.limits`, or None where the compiled kernels are missing."""
    try:
        return importlib.import_module("edge_runtime.kernels.limits")
    except ImportError:
        return None


def chain() -> Chain | None:
    """The chain of additions, None without `limits`."""
    found = limits()
    return None if found is None else Chain(found.chain, found.CHAIN_CYCLES)


def measure(threads: Iterable[int], root: Path) -> Ceilings | None:
    """Peaks of every instruction set on each number of threads, and bandwidths of one; None without `limits`."""
    found = limits()
    if found is None:
        return None
    native = importlib.import_module("edge_runtime.kernels.native")
    chosen, peaks = native.info().isa, []
    for isa in native.isas():
        native.use_isa(isa)
        peaks += [_peak(found, isa, count) for count in threads]
    native.use_isa(chosen)
    memory = tuple(_bandwidth(found, level, size) for level, size in working_sets(cache_sizes(root)))
    return Ceilings(found.CHAIN_CYCLES / _fastest(found.chain), tuple(peaks), memory)


def working_sets(caches: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Name and bytes of a working set inside each cache, smallest first, and of one beyond them all."""
    known = list(caches) or list(USUAL_CACHES)
    beyond = min(max(BEYOND * known[-1][1], LEAST_BEYOND), MOST_BEYOND)
    return [(name, int(size * FILLED)) for name, size in known] + [("memory", beyond)]


def _peak(found: Any, isa: str, threads: int) -> Peak:
    rates = [2 * _together(run, threads) for run in (found.floats, found.products)]
    return Peak(isa, threads, *rates)


def _together(run: Callable[[], int], threads: int) -> float:
    """What all threads do a second, each by its own processor time; the loops release Python's lock."""
    rates: list[float] = []
    ready = threading.Barrier(threads)

    def work() -> None:
        ready.wait()
        rates.append(run() / _fastest(run))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(rates)


def _bandwidth(found: Any, level: str, size: int) -> Bandwidth:
    count = size // ARRAYS // FLOAT_BYTES
    a, b, out = (np.ones(count, np.float32) for _ in range(ARRAYS))
    times = max(1, LEAST_MOVED // size)
    copy_s = _fastest(lambda: found.copy(a, out, times)) / times
    triad_s = _fastest(lambda: found.triad(a, b, out, times)) / times
    moved = count * FLOAT_BYTES
    return Bandwidth(level, size, 2 * moved / copy_s, ARRAYS * moved / triad_s)


def _fastest(run: Callable[[], Any]) -> float:
    """Processor seconds of the quickest of some samples: a ceiling is what nothing disturbed."""
    run()
    start = time.thread_time()
    run()
    calls = max(1, int(SAMPLE_S / max(time.thread_time() - start, 1e-9)))
    best = float("inf")
    for _ in range(SAMPLES):
        start = time.thread_time()
        for _ in range(calls):
            run()
        best = min(best, (time.thread_time() - start) / calls)
    return best
