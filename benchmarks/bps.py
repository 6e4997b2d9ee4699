"""Races the BPS scheduler against its baselines over a grid of links, devices and arrivals.

    python benchmarks/bps.py --bundle zoo/lite0 --data PHOTOS --json OUT [--parts grid real ...]

``grid``: every cell in virtual time, from the tables that lie in the bundle. ``real``: some cells over the link shaper,
with real models and a real server; a device that is k times slower does all its work k times. ``validation``: single
plans, simulated and real, between two measurements of the times. ``wrong``: tables that are wrong, against an oracle.
``step`` and ``overload``: a link that breaks down, and an hour of twice what can be done. Each part replaces its own
figures in the file and leaves the others; `benchmarks/figures.py` makes tables of them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bps_cells import ARRIVALS, BANDWIDTHS, SLOWER, Cell, Subject, over_the_middle_link
from bps_real import measure_cells, validate
from bps_robustness import overload, step, wrong_tables
from bps_summary import OURS, row, summary
from kernels import fingerprint
from tqdm import tqdm

from edge_runtime.evaluation.bps import simulated
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle
from edge_runtime.scheduling import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CELLS = [Cell(mbit, slower, arrivals) for mbit in BANDWIDTHS for slower in SLOWER for arrivals in ARRIVALS]
SECONDS = 60.0
PHOTOS = 512


def main() -> None:
    """Run the parts asked for, one after the other, and write each to the file as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("zoo/lite0"))
    parser.add_argument("--data", type=Path, help="labelled photos, for the parts real and validation")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    if not options.data and {"real", "validation"} & set(options.parts):
        parser.error("--data: none given; the parts real and validation need labelled photos")
    bundle = Bundle.load(options.bundle)
    photos = labelled_photos(options.data, bundle.manifest, limit=PHOTOS) if options.data else []
    subject = Subject(bundle, over_the_middle_link(tables.load(options.bundle / "tables.json")), photos)
    found: dict[str, Any] = json.loads(options.json.read_text()) if options.json.exists() else {}
    for part in options.parts:
        figures = PARTS[part](subject)
        # The grid is what the file is about: its figures lie at the top.
        found |= {**(figures if part == "grid" else {part: figures}), "fingerprint": fingerprint()}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps({part: _in_short(figures)}, indent=1))


def grid(subject: Subject, cells: Sequence[Cell] = CELLS, seconds: float = SECONDS) -> dict[str, Any]:
    """Cells simulated for so long: answers in time per second of every policy, and the summary of all."""
    rows = [_simulated(cell, subject, seconds) for cell in tqdm(cells, desc="grid", unit="cell")]
    return {"cells": rows, "seconds": seconds, "most_loss": subject.most_loss, **summary(rows)}


def _simulated(cell: Cell, subject: Subject, seconds: float) -> dict[str, Any]:
    policies = subject.policies(cell.slower)
    runs = {one.name: simulated(cell.scenario(seconds), one, subject.tables) for one in policies}
    ours = runs[OURS].timeline.summary()
    return {
        **row(cell, {name: run.timeline.rate() for name, run in runs.items()}),
        "plan": next(iter(ours["plans"])),
        "busy": ours["busy"],
        "latency_ms": ours["latency_ms"],
    }


PARTS: dict[str, Callable[[Subject], Any]] = {
    "grid": grid,
    "real": measure_cells,
    "validation": validate,
    "wrong": wrong_tables,
    "step": step,
    "overload": overload,
}


def _in_short(part: Any) -> Any:
    """Without the single cells, which nobody reads off a terminal."""
    return {key: value for key, value in part.items() if key != "cells"} if isinstance(part, dict) else part


if __name__ == "__main__":
    main()
