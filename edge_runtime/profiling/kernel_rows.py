"""The kernels' part of a profile: every case in every backend, all of them in turns, on one core."""

from __future__ import annotations

import fnmatch
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from edge_runtime.profiling import ceilings as limits
from edge_runtime.profiling import roofline, rounds
from edge_runtime.profiling.backends import BackendChoice, backend_choices, kept
from edge_runtime.profiling.kernel_cases import KernelCase, kernel_cases
from edge_runtime.profiling.report import KernelRow
from edge_runtime.profiling.rounds import Task, Timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_runtime.profiling.report import Ceilings


class MeasuredKernel(NamedTuple):
    """A case in a backend, and what was measured of it."""

    case: KernelCase
    choice: BackendChoice
    timed: Timed


def row_key(case: KernelCase, choice: BackendChoice) -> str:
    """The key of its row, which ``--only`` is matched with."""
    return f"{case.name} [{choice.name}]"


def measure(only: str, budget_s: float, after_round: Callable[[], Any]) -> list[MeasuredKernel]:
    """Time every case whose key has ``only`` in it, or matches it as a pattern, in every backend."""
    with kept():
        wanted = [
            (case, choice)
            for case in kernel_cases()
            for choice in backend_choices()
            if matches(only, row_key(case, choice))
        ]
        tasks = [Task(row_key(case, choice), case.make, choice.switch) for case, choice in wanted]
        with pinned(), tqdm(total=len(tasks), desc="kernels", unit="row", disable=None) as progress:
            found = rounds.measure(tasks, budget_s, chain=limits.chain(), progress=progress, after_round=after_round)
    return [MeasuredKernel(*pair, timed) for pair, timed in zip(wanted, found, strict=True)]


def matches(only: str, key: str) -> bool:
    """Whether a row is wanted: everything is by an empty pattern."""
    return only in key or fnmatch.fnmatchcase(key, only)


def row(measured: MeasuredKernel, ceilings: Ceilings | None) -> KernelRow:
    """What the report says of it."""
    case, choice, timed = measured
    timing = rounds.timing(timed.samples, timed.first)
    where = roofline.place(
        ceilings if choice.isa else None, choice.isa, case.arithmetic, case.bytes, case.operations, timing.p50.value
    )
    return KernelRow(
        name=case.name,
        backend=choice.name,
        timing=timing,
        bytes=case.bytes,
        operations=case.operations,
        arithmetic=case.arithmetic,
        bandwidth_share=where and where.bandwidth_share,
        arithmetic_share=where and where.arithmetic_share,
        bound=where and where.bound,
    )


@contextmanager
def pinned() -> Iterator[None]:
    """On the last core alone meanwhile: where cores differ, it is one of the fast ones."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
