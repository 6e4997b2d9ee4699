"""Links that change and the photos that come meanwhile: what is made up, the same each time, and what was recorded."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.scheduling.traces import Trace, markov, random_walk, recorded
from edge_runtime.systems.driver import RETURN_MARGIN_S

if TYPE_CHECKING:
    from collections.abc import Sequence

MBIT = 1e6 / 8
ROUND_TRIP_S = 0.02
SLOWEST, FASTEST = 0.5 * MBIT, 20 * MBIT
LEVELS = (SLOWEST, 2 * MBIT, 8 * MBIT, FASTEST)
# Seconds that the link stays as it is, on average between jumps, always between the steps of a walk; and seeds for
# which both come near either end of the range within the first seconds.
STAY_S, JUMPS_SEED = 2.0, 4
WALK_EVERY_S, WALK_SEED = 0.2, 3
SECONDS = 12.0
# The trace that pictures show.
DRAWN = "walk"


@dataclass(frozen=True)
class Cell:
    """A link over time, and so many photos, each to be answered within ``deadline_s``."""

    name: str
    link: LinkTrace
    deadline_s: float
    photos: int

    @property
    def left_s(self) -> float:
        """What a system has of the deadline: the rest is kept back by whoever drives it, an oracle included."""
        return self.deadline_s - RETURN_MARGIN_S


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


def race_options(description: str, bundle: str, deadlines_ms: Sequence[float]) -> argparse.ArgumentParser:
    """The options of every race over changing links; ``bundle`` says what the bundle must have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help=bundle)
    parser.add_argument("--data", type=Path, required=True, help="labelled photos that it was not trained on")
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--picture", type=Path, help="PNG file: our run over one of the traces")
    parser.add_argument("--recorded", type=Path, nargs="+", default=[], metavar="CSV", help="more traces")
    parser.add_argument("--deadlines", type=float, nargs="+", default=deadlines_ms, metavar="MS")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run (%(default)g)")
    return parser


def asked_for(options: argparse.Namespace) -> list[Cell]:
    """The cells of the options that `race_options` reads."""
    bandwidths = traces(options.seconds) | {path.stem: recorded(path) for path in options.recorded}
    return cells(bandwidths, options.deadlines, options.seconds)
