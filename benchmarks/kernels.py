"""Races the kernels: fused call against pip packages and memcpy, backend against backend, AVX2 against scalar.

    python benchmarks/kernels.py [--json FILE] [--rounds N]

Rivals run interleaved in one pinned process, in an order that turns round every round. A figure is the ratio of
the medians; beside it stand the 10 % and 90 % quantiles of the ratios of single rounds. Absolute times are printed
only to show their order of magnitude. Every rival must return the same result before it is timed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bottleneck as bn
import numpy as np
from tqdm import tqdm

from edge_runtime import kernels
from edge_runtime.profiling.backends import backend_choices, kept
from edge_runtime.profiling.kernel_cases import DELTA, kernel_cases
from edge_runtime.profiling.synthetic import PATCH, SeenFrame, seen_frame

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
# Long enough for the clock, short enough that a disturbance spoils one slice and not the race.
SLICE_SECONDS = 0.002


@dataclass(frozen=True)
class Rival:
    """A call to time; `prepare` runs before each slice, outside of the clock."""

    name: str
    call: Callable[[], Any]
    prepare: Callable[[], Any] = nullcontext


class Composition:
    """The hot path as a careful user writes it with NumPy and bottleneck; only min-entropy, buffers reused."""

    def __init__(self, frame: SeenFrame, gather: str) -> None:
        side = frame.image.shape[0]
        self.columns = side // PATCH
        self.count = self.columns**2
        self.gather = getattr(self, f"_gather_{gather}")
        self.flags = np.zeros(self.count, np.uint8)
        self.out = np.empty((self.count, PATCH, PATCH, 3), np.uint8)
        # Position of each 48-byte row of each patch among the rows of the picture.
        top = np.arange(self.count) // self.columns * PATCH
        self.rows = (top[:, None] + np.arange(PATCH)) * self.columns + np.arange(self.count)[:, None] % self.columns

    def __call__(self, logits: np.ndarray, attention: np.ndarray, image: np.ndarray) -> Any:
        """(min-entropy, indices, bitmap, patches)"""
        min_entropy = np.log2(bn.nansum(np.exp(logits - bn.nanmax(logits))))
        if min_entropy < 0:
            return None
        scores = bn.nansum(attention, axis=0)[1:]
        scores /= bn.nansum(scores)
        order = np.argsort(-scores)
        kept = np.searchsorted(scores[order].cumsum(), DELTA, side="right") + 1
        indices = np.sort(order[:kept])
        self.flags[:] = 0
        self.flags[indices] = 1
        return min_entropy, indices, np.packbits(self.flags, bitorder="little"), self.gather(image, indices)

    def _gather_fancy(self, image: np.ndarray, indices: np.ndarray) -> np.ndarray:
        grid = image.reshape(self.columns, PATCH, self.columns, PATCH, 3).swapaxes(1, 2)
        return grid[indices // self.columns, indices % self.columns]

    def _gather_take(self, image: np.ndarray, indices: np.ndarray) -> np.ndarray:
        rows = image.reshape(-1, PATCH * 3).view(f"V{PATCH * 3}")[:, 0]
        out = self.out[: len(indices)]
        rows.take(
            self.rows[indices], out=out.reshape(-1, PATCH * 3).view(f"V{PATCH * 3}").reshape(-1, PATCH), mode="clip"
        )
        return out


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """Mean processor time of one call: what other programs take of the clock does not count."""
    start = time.thread_time()
    for _ in range(repeats):
        call()
    return (time.thread_time() - start) / repeats


def race(rivals: list[Rival], rounds: int) -> dict[str, Any]:
    """Times of every rival over the rounds, and the first one's advantage over each."""
    repeats = {}
    for rival in rivals:
        rival.prepare()
        rival.call()
        repeats[rival.name] = max(1, int(SLICE_SECONDS / min(seconds(rival.call, 1) for _ in range(5))))
    times: dict[str, list[float]] = {rival.name: [] for rival in rivals}
    for turn in range(rounds):
        for rival in rivals if turn % 2 else rivals[::-1]:
            rival.prepare()
            times[rival.name].append(seconds(rival.call, repeats[rival.name]))
    first = np.array(times[rivals[0].name])
    result: dict[str, Any] = {}
    for name, taken in times.items():
        low, high = np.quantile(np.array(taken) / first, [0.1, 0.9])
        result[name] = {
            "microseconds": round(float(np.median(taken)) * 1e6, 2),
            "ratio": round(float(np.median(taken) / np.median(first)), 3),
            "spread": [round(float(low), 3), round(float(high), 3)],
        }
    return result


def fused_race(side: int, classes: int, rounds: int) -> dict[str, Any]:
    """The gate against two compositions and against memcpy of what it emits."""
    frame = seen_frame(side, classes)
    inputs = frame.logits, frame.attention, frame.image
    gate = kernels.Gate(classes=classes, heads=3, image=(side, side), eta=0.0, rule=kernels.CumulativeSum(DELTA))
    decision = gate(*inputs)
    compositions = {name: Composition(frame, name) for name in ("fancy", "take")}
    for name, composition in compositions.items():
        min_entropy, indices, bitmap, patches = composition(*inputs)
        same = (
            np.isclose(min_entropy, decision.uncertainty.min_entropy, rtol=1e-5)
            and np.array_equal(indices, decision.indices)
            and np.array_equal(bitmap, decision.bitmap)
            and np.array_equal(patches, decision.patches)
        )
        if not same:
            raise SystemExit(f"{name}: another result than the fused call, nothing was timed")
    source = np.concatenate([decision.bitmap, decision.patches.reshape(-1)])
    target = np.empty_like(source)
    fresh = itertools.cycle([inputs, tuple(array.copy() for array in inputs)])
    rivals = [
        Rival("fused", lambda: gate(*inputs)),
        Rival("fused, new arrays every call", lambda: gate(*next(fresh))),
        Rival("bottleneck + NumPy, fancy index", lambda: compositions["fancy"](*inputs)),
        Rival("bottleneck + NumPy, take of rows", lambda: compositions["take"](*inputs)),
        Rival("memcpy of the emitted bytes", lambda: np.copyto(target, source)),
    ]
    return {
        "patches": len(decision.scores),
        "kept": len(decision.indices),
        "bytes": source.size,
        "classes": classes,
        "times": race(rivals, rounds),
    }


def backend_races(rounds: int) -> dict[str, Any]:
    """Every kernel in every backend."""
    results = {}
    with kept():
        for case in tqdm(kernel_cases(), desc="kernels"):
            rivals, answers = [], []
            for choice in backend_choices():
                choice.switch()
                call = case.make()
                answers.append(plain(call()))
                rivals.append(Rival(choice.name, call, choice.switch))
            if any(answer != answers[0] for answer in answers):
                raise SystemExit(f"{case.name}: backends differ, nothing was timed")
            results[case.name] = race(rivals, rounds)
    return results


def plain(answer: Any) -> Any:
    """What a kernel returned, for comparing: arrays by their bytes."""
    if isinstance(answer, np.ndarray):
        return answer.tobytes()
    return tuple(map(plain, answer)) if isinstance(answer, tuple) else answer


def fingerprint() -> dict[str, Any]:
    """What the figures depend on."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":", 1)[1].strip() for line in cpu.splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "bottleneck", "numba", "cffi")},
        "threads": THREADS,
        "isa": kernels.backend().isa,
    }


def show(title: str, times: dict[str, Any]) -> None:
    """One race as a table."""
    print(title)
    for name, row in times.items():
        low, high = row["spread"]
        print(f"  {name:34} {row['microseconds']:10.2f} µs  × {row['ratio']:7.2f}  ({low:.2f} to {high:.2f})")


def run_single_threaded() -> None:
    """Start again with one thread for every library: they read these variables when imported."""
    if not THREADS.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | THREADS)  # noqa: S606


def main() -> None:
    """Run every race, print the tables, write the figures."""
    run_single_threaded()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--rounds", type=int, default=101)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    machine = fingerprint()
    print(machine)
    fused = []
    for side, classes in [(224, 1000), (384, 1000), (224, 10), (384, 10)]:
        result = fused_race(side, classes, options.rounds)
        fused.append(result)
        heading = f"{result['kept']} of {result['patches']} patches, {result['bytes']} bytes, {classes} classes"
        show(heading, result["times"])
    races = backend_races(options.rounds)
    for kernel, times in races.items():
        show(kernel, times)
    if options.json:
        figures = {"machine": machine, "fused": fused, "kernels": races}
        options.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
