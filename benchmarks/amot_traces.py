"""Races A-MOT's planner over changing links against fixed ratios, whole photos, and an oracle that knows the link.

    python benchmarks/amot_traces.py --bundle zoo/amot --data PHOTOS --out JSON [--picture PNG] [--recorded CSV ...]

A real server answers real photos over the link shaper, whose rate follows a trace between 0.5 and 20 Mbit/s. What is
raced by default is made up, and the same each time: no recorded trace comes with the repository. ``--recorded`` adds
files with columns ``seconds`` and ``mbit``. Every policy has each trace to itself, in an order that turns from cell to
cell; all cells that are finished are written after each. It is 48 runs of 12 seconds: run nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amot_oracle import typical
from amot_picture import plot
from amot_runs import CAREFUL, MBIT, OURS, POLICIES, ROUND_TRIP_S, Cell, Subject, measure, run
from amot_summary import cell_figures, overall
from kernels import fingerprint
from tqdm import tqdm

from edge_runtime.cli_rounds import round_tables
from edge_runtime.evaluation.link import serving
from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle
from edge_runtime.scheduling.traces import Trace, markov, random_walk, recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from amot_runs import Run

SLOWEST, FASTEST = 0.5 * MBIT, 20 * MBIT
LEVELS = (SLOWEST, 2 * MBIT, 8 * MBIT, FASTEST)
# Seconds that the link stays as it is, on average between jumps, always between the steps of a walk; and seeds for
# which both come near either end of the range within the first seconds.
STAY_S, JUMPS_SEED = 2.0, 4
WALK_EVERY_S, WALK_SEED = 0.2, 3
SECONDS = 12.0
DEADLINES_MS = (120.0, 200.0)
DRAWN = "walk"


def traces(seconds: float) -> dict[str, Trace]:
    """A link that breaks down and recovers, one that jumps, one that wanders."""
    return {
        "steps": Trace([(0.0, FASTEST), (seconds / 3, SLOWEST), (2 * seconds / 3, FASTEST)]),
        "jumps": markov(LEVELS, STAY_S, seconds, JUMPS_SEED),
        DRAWN: random_walk(SLOWEST, FASTEST, WALK_EVERY_S, seconds, WALK_SEED),
    }


def cells(bandwidths: dict[str, Trace], deadlines_ms: Sequence[float], seconds: float) -> list[Cell]:
    """Every trace with every deadline, for so long."""
    return [
        Cell(name, LinkTrace(bandwidth, ROUND_TRIP_S), deadline_ms / 1e3, int(1e3 * seconds / deadline_ms))
        for name, bandwidth in bandwidths.items()
        for deadline_ms in deadlines_ms
    ]


def race(subject: Subject, raced: Sequence[Cell], late_s: tuple[float, float]) -> Iterator[tuple[Cell, dict[str, Run]]]:
    """Every policy's run in one cell after the other; the oracle expects rounds to be so late."""
    names = list(POLICIES)
    with tqdm(total=len(raced) * len(names), unit="run") as progress:
        for turn, cell in enumerate(raced):
            runs = {}
            for place in range(len(names)):
                name = names[(turn + place) % len(names)]
                progress.set_description(f"{cell.name}, {1e3 * cell.deadline_s:g} ms, {name}")
                runs[name] = run(name, subject, cell, late_s)
                progress.update()
            yield cell, runs


def main() -> None:
    """Race, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="calibrated for two rounds")
    parser.add_argument("--data", type=Path, required=True, help="labelled photos that it was not trained on")
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--picture", type=Path, help="PNG file: our run over one of the traces")
    parser.add_argument("--recorded", type=Path, nargs="+", default=[], metavar="CSV", help="more traces")
    parser.add_argument("--deadlines", type=float, nargs="+", default=DEADLINES_MS, metavar="MS")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run (%(default)g)")
    options = parser.parse_args()
    bundle = Bundle.load(options.bundle)
    bandwidths = traces(options.seconds) | {path.stem: recorded(path) for path in options.recorded}
    raced = cells(bandwidths, options.deadlines, options.seconds)
    photos = labelled_photos(options.data, bundle.manifest, limit=max(cell.photos for cell in raced))
    with serving(bundle.folder) as address:
        found = _race(Subject(bundle, round_tables(bundle), photos, address), raced, options.out, options.picture)
    print(in_words(found))


def _race(subject: Subject, raced: Sequence[Cell], out: Path, picture: Path | None) -> dict[str, Any]:
    """All figures, written after each cell."""
    late = measure(subject)
    report: dict[str, Any] = {}
    found: list[dict[str, Any]] = []
    for cell, runs in race(subject, raced, typical(late, CAREFUL)):
        found.append(cell_figures(subject, cell, runs, late))
        report = {"overall": overall(found), "cells": found, "fingerprint": fingerprint()}
        out.write_text(json.dumps(report, indent=1) + "\n")
        if picture and cell.name == DRAWN:
            plot(cell, runs[OURS], picture)
    return report


def in_words(report: dict[str, Any]) -> str:
    """The figures that the race is about."""
    found = report["overall"]
    lines = [f"Of {found['photos']} photos the oracle could answer {found['meetable']} in time; of these"]
    for name, row in found["policies"].items():
        share, accuracy = _percent(row["share_of_meetable"]), _percent(row["accuracy"])
        lines.append(
            f"  {name:41} {share:>6} in time, {row['lost']} lost, {row['unasked']} unasked; "
            f"{accuracy:>6} of all answers right, {row['wire_bytes']:.0f} bytes a photo"
        )
    means = [found[key] for key in ("points_lost", "points_lost_answered")]
    by_tables, without_misses = ("-" if mean is None else f"{mean:.2f}" for mean in means)
    real, half = found["points_lost_for_real"]
    lines.append(
        f"Points lost against the oracle: {by_tables} by the tables, {without_misses} of these not by misses; "
        f"{real:.2f} ± {half:.2f} for real"
    )
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


if __name__ == "__main__":
    main()
