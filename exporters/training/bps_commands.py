"""`edge-export train bps-policy`: from a profile's tables to the policy of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling.tables import load
from exporters.policy import POLICY, install_policy

if TYPE_CHECKING:
    import argparse

DESCRIPTION = "the scheduler's policy, in the simulator"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `edge-export train bps-policy`."""
    add = parser.add_argument
    add("--tables", type=Path, required=True, help="what `edge-runtime profile --for-scheduler` wrote")
    add("--most-loss", type=float, default=0.01, help="right answers that a plan may lose, a share (default: 0.01)")
    add("--steps", type=int, default=60_000, help="decisions to learn from (default: %(default)s)")
    add("--every", type=int, default=6_000, help="steps between lines of the log (default: %(default)s)")
    add("--worlds", type=int, default=100, help="held-out worlds that each line compares in (default: %(default)s)")
    add("--bundle", type=Path, help="put the policy into this bundle in the end")


def run(options: argparse.Namespace) -> dict[str, object]:
    """Train, and report the last comparison with the planner and where the policy lies."""
    from exporters.training.bps_policy import Schedule, train

    for name in ("steps", "every", "worlds"):
        if getattr(options, name) < 1:
            raise ArgumentError(f"--{name}: {getattr(options, name)} is too few; give 1 or more")
    schedule = Schedule(options.steps, options.every, options.worlds, options.seed)
    figures = train(load(options.tables), options.most_loss, options.out, schedule)
    if options.bundle:
        install_policy(options.out / POLICY, options.bundle)
    return {"policy": str(options.out / POLICY), "log": str(options.out / "log.jsonl"), **figures}
