"""Races the controller of slimmable encoders over changing links, against an oracle that knows the link, and others.

    python benchmarks/slimmable_traces.py --bundle zoo/slimmable --data PHOTOS --out JSON [--family F] [--picture PNG]

The others are the controller as published, fixed modes, and whole photos that the whole network answers.
A real server answers real photos over the link shaper, whose rate follows a trace between 0.5 and 20 Mbit/s. What is
raced by default is made up, and the same each time; ``--recorded`` adds files with columns ``seconds`` and ``mbit``.
Every policy has each trace to itself, in an order that turns from cell to cell; all cells that are finished are written
after each. It is 66 runs of 12 seconds without ``--seconds``: run nothing else meanwhile.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from kernels import fingerprint
from link_runs import race
from link_summary import points_in_words, policies_in_words
from link_traces import DRAWN, asked_for, race_options
from slimmable_oracle import typical
from slimmable_picture import plot
from slimmable_runs import CAREFUL, OURS, POLICIES, Subject, measure, run
from slimmable_summary import cell_figures, overall

from edge_runtime.evaluation.link import serving
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle
from edge_runtime.systems.family import Family

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from link_traces import Cell

DEADLINES_MS = (80.0, 120.0)


def main() -> None:
    """Race, print and write."""
    parser = race_options(str(__doc__), "with slimmable encoders", DEADLINES_MS)
    parser.add_argument("--family", default="", help="of encoders (default: the bundle's first)")
    options = parser.parse_args()
    bundle = Bundle.load(options.bundle)
    family = Family.open(bundle, bundle.latent(options.family))
    raced = asked_for(options)
    photos = labelled_photos(options.data, bundle.manifest, limit=max(cell.photos for cell in raced))
    with serving(bundle.folder) as address:
        found = _race(Subject(bundle, family, photos, address), raced, options.out, options.picture)
    print(in_words(found))


def _race(subject: Subject, raced: Sequence[Cell], out: Path, picture: Path | None) -> dict[str, Any]:
    """All figures, written after each cell."""
    late = measure(subject)
    report: dict[str, Any] = {}
    found: list[dict[str, Any]] = []
    for cell, runs in race(raced, list(POLICIES), partial(run, subject=subject, late_s=typical(late, CAREFUL))):
        found.append(cell_figures(subject, cell, runs, late))
        report = {
            "family": subject.family.spec.name,
            "ours": OURS,
            "encode_ms": [1e3 * taken_s for taken_s in subject.encode_s],
            "overall": overall(found),
            "cells": found,
            "fingerprint": fingerprint(),
        }
        out.write_text(json.dumps(report, indent=1) + "\n")
        if picture and cell.name == DRAWN:
            plot(cell, runs[OURS], picture)
    return report


def in_words(report: dict[str, Any]) -> str:
    """The figures that the race is about."""
    found = report["overall"]
    lost = [
        f"  {name}: {points_in_words(one)}; {one['switches']} changes of mode"
        for name, one in found["policies"].items()
        if one["modes"]
    ]
    return "\n".join([*policies_in_words(found), "Points lost against the oracle:", *lost])


if __name__ == "__main__":
    main()
