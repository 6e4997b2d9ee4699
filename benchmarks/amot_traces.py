"""Races A-MOT's planner over changing links against fixed ratios, whole photos, and an oracle that knows the link.

    python benchmarks/amot_traces.py --bundle zoo/amot --data PHOTOS --out JSON [--picture PNG] [--recorded CSV ...]

A real server answers real photos over the link shaper, whose rate follows a trace between 0.5 and 20 Mbit/s. What is
raced by default is made up, and the same each time: no recorded trace comes with the repository. ``--recorded`` adds
files with columns ``seconds`` and ``mbit``. Every policy has each trace to itself, in an order that turns from cell to
cell; all cells that are finished are written after each. It is 48 runs of 12 seconds: run nothing else meanwhile.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from amot_oracle import typical
from amot_picture import plot
from amot_runs import CAREFUL, OURS, POLICIES, Subject, measure, run
from amot_summary import cell_figures, overall
from kernels import fingerprint
from link_runs import race
from link_summary import points_in_words, policies_in_words
from link_traces import DRAWN, asked_for, race_options

from edge_runtime.cli_rounds import round_tables
from edge_runtime.evaluation.link import serving
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from link_traces import Cell

DEADLINES_MS = (120.0, 200.0)


def main() -> None:
    """Race, print and write."""
    options = race_options(str(__doc__), "calibrated for two rounds", DEADLINES_MS).parse_args()
    bundle = Bundle.load(options.bundle)
    raced = asked_for(options)
    photos = labelled_photos(options.data, bundle.manifest, limit=max(cell.photos for cell in raced))
    with serving(bundle.folder) as address:
        found = _race(Subject(bundle, round_tables(bundle), photos, address), raced, options.out, options.picture)
    print(in_words(found))


def _race(subject: Subject, raced: Sequence[Cell], out: Path, picture: Path | None) -> dict[str, Any]:
    """All figures, written after each cell."""
    late = measure(subject)
    report: dict[str, Any] = {}
    found: list[dict[str, Any]] = []
    for cell, runs in race(raced, list(POLICIES), partial(run, subject=subject, late_s=typical(late, CAREFUL))):
        found.append(cell_figures(subject, cell, runs, late))
        report = {"overall": overall(found), "cells": found, "fingerprint": fingerprint()}
        out.write_text(json.dumps(report, indent=1) + "\n")
        if picture and cell.name == DRAWN:
            plot(cell, runs[OURS], picture)
    return report


def in_words(report: dict[str, Any]) -> str:
    """The figures that the race is about."""
    lines = policies_in_words(report["overall"])
    return "\n".join([*lines, f"Points lost against the oracle: {points_in_words(report['overall'])}"])


if __name__ == "__main__":
    main()
