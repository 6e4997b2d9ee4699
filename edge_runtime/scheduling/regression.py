"""Times of parts that were not measured, predicted from those that were: the fallback where profiling left a hole.

Neurosurgeon (Kang et al., ASPLOS 2017) predicts each layer by a regression for its type. Ours knows no layers, only the
parts of a network before and after its cuts, by their multiply-accumulates: a measured table is better where there is
one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from edge_runtime.scheduling.tables import Site, Tables, Times


def filled(tables: Tables, macs: Mapping[str, tuple[int, int]]) -> Tables:
    """The tables with the times predicted of every part that has none; what was measured stays as it is.

    ``macs`` are each cut's multiply-accumulates for one frame, before and after it; under "" nothing and the whole
    network. Device and server have a fit of their own, of all their measured runs. Raises ArgumentError for a cut that
    ``macs`` lacks, and where what was measured does not determine a fit that is needed.
    """
    lacking = sorted({"", *(site.cut for site in tables.sites)} - macs.keys())
    if lacking:
        raise ArgumentError(f"macs: {lacking} are not among them; give every cut's, and the whole network's under ''")
    before = {cut: parts[0] for cut, parts in macs.items()}
    after = {cut: parts[1] for cut, parts in macs.items()}
    device = [(after[""], tables.local_s), *((before[site.cut], site.device_s) for site in tables.sites)]
    server = [(after[site.cut], site.server_s) for site in tables.sites]
    replace = msgspec.structs.replace
    sites: list[Site] = []
    for site in tables.sites:
        if site.cut and not site.device_s:
            site = replace(site, device_s=_fit("device", device).times(tables.local_s, before[site.cut]))
        if not site.server_s:
            sizes = {size for _, times in server for size in times}
            site = replace(site, server_s=_fit("server", server).times(sizes, after[site.cut]))
        sites.append(site)
    return replace(tables, sites=tuple(sites))


@dataclass(frozen=True, slots=True)
class _Fit:
    """Seconds of a run, of a frame in it, and of a billion multiply-accumulates; none is below 0."""

    run_s: float
    frame_s: float
    giga_s: float

    def times(self, sizes: Iterable[int], macs: int) -> Times:
        """Predicted runs of ``sizes`` frames, each of so many multiply-accumulates."""
        return {size: self.run_s + size * (self.frame_s + self.giga_s * macs / 1e9) for size in sorted(sizes)}


def _fit(side: str, measured: Iterable[tuple[int, Times]]) -> _Fit:
    """Least squares of the relative errors, for short runs count like long ones, over runs by their part's MACs."""
    runs = [(size, macs, taken_s) for macs, times in measured for size, taken_s in times.items()]
    rows = np.array([(1 / taken_s, size / taken_s, size * macs / 1e9 / taken_s) for size, macs, taken_s in runs])
    if len(runs) < 3 or np.linalg.matrix_rank(rows) < 3:
        raise ArgumentError(
            f"{side}: {len(runs)} measured runs do not tell what batch and size cost; time two batches of two parts"
        )
    return _Fit(*_non_negative(rows))


def _non_negative(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The non-negative weights of the three columns of ``rows`` whose sum is nearest to ones: of all subsets the best.

    The best non-negative solution is the unbounded one of the columns that it uses.
    """
    best, least = np.zeros(3), float("inf")
    for used in (list(columns) for count in (1, 2, 3) for columns in combinations(range(3), count)):
        weights = np.zeros(3)
        weights[used] = np.linalg.lstsq(rows[:, used], np.ones(len(rows)), rcond=None)[0]
        error = float(np.square(rows @ weights - 1).sum())
        if weights.min() >= 0 and error < least:
            best, least = weights, error
    return best
