"""Calibration of two rounds: every plan on held-out photos, by several processes, into tables and a report."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from edge_runtime.errors import BundleError
from edge_runtime.models import Bundle
from exporters.calibration.rounds_passes import Passes, RoundPasses
from exporters.calibration.rounds_report import round_report
from exporters.calibration.rounds_tables import round_tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.control.rounds import RoundTables
    from edge_runtime.labelled_photos import Photo
    from exporters.calibration.rounds_axes import Axes

# Photos that a process takes at a time: many enough that opening the models costs nothing.
BATCH = 8


def calibrate_rounds(
    bundle: Bundle, photos: Sequence[Photo], axes: Axes, processes: int = 1
) -> tuple[RoundTables, dict[str, object]]:
    """Measure every plan of ``axes`` on every photo; returns the bundle's tables, and a report as plain values.

    Raises ArgumentError for axes that do not fit the bundle's frame, BundleError for a bundle without rounds.
    """
    axes = axes.ordered()
    axes.check(bundle.frame.grid**2)
    passes = _measure(bundle, [photo.data for photo in photos], axes, processes)
    labels = np.array([photo.label for photo in photos])
    tables = round_tables(axes, passes, labels)
    return tables, round_report(axes, passes, labels, tables)


def _measure(bundle: Bundle, photos: Sequence[bytes], axes: Axes, processes: int) -> Passes:
    """Passes ``[P, ...]``, in the photos' order."""
    batches = [range(start, min(start + BATCH, len(photos))) for start in range(0, len(photos), BATCH)]
    found: list[Passes] = []
    # Fresh processes: what a fork inherits from running threads is anybody's guess.
    with (
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
        tqdm(total=len(photos), desc="two rounds", unit="photo", smoothing=0) as bar,
    ):
        work = partial(measure_batch, bundle.folder, axes)
        for batch in pool.map(work, batches, [[photos[number] for number in batch] for batch in batches]):
            found += batch
            bar.update(len(batch))
    return Passes(*(np.stack(arrays) for arrays in zip(*found, strict=True)))


def measure_batch(folder: Path, axes: Axes, numbers: Sequence[int], photos: Sequence[bytes]) -> list[Passes]:
    """The passes of some photos, with models of its own."""
    bundle = Bundle.load(folder)
    if bundle.manifest.rounds is None:
        raise BundleError(f"{folder}: has no rounds to calibrate; give a bundle whose spec has [rounds]")
    passes = RoundPasses(bundle, bundle.manifest.rounds, axes)
    return [passes.measure(number, photo) for number, photo in zip(numbers, photos, strict=True)]
