"""Times one decision of the planner of two rounds, in thousands of states.

    python benchmarks/slo_decision.py --tables FILE [--json OUT]

One core, pinned. Before each decision the planner learns from a reply of random time, so that conditions differ; the
deadline is random as well. Reported are the number of plans, and the quantiles of a call of `Slo.plan`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import time
from pathlib import Path

import numpy as np

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.control.round_plans import RoundPlans
from edge_runtime.control.rounds import RoundTables
from edge_runtime.control.slo import Slo
from edge_runtime.errors import Unmeetable

WARM_UP = 500
QUANTILES = (0.1, 0.5, 0.9, 0.99)


def main() -> None:
    """Time, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="of a bundle's rounds")
    parser.add_argument("--wanted", type=float, help="accuracy 0..1 (default: the best)")
    parser.add_argument("--decisions", type=int, default=5000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tables = RoundTables.load(options.tables.read_bytes())
    times = decisions(tables, options.wanted, WARM_UP + options.decisions)[WARM_UP:]
    report = {
        "decisions": options.decisions,
        "plans": len(RoundPlans(tables, options.wanted, 0.0).columns.setting),
        "us": {f"p{100 * share:g}": round(1e6 * float(np.quantile(times, share)), 1) for share in QUANTILES},
    }
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def decisions(tables: RoundTables, wanted: float | None, count: int) -> list[float]:
    """Seconds of each decision."""
    rng = random.Random(0)
    now = 0.0
    slo = Slo(tables, LinkEstimate(1e6, 0.02), wanted=wanted, clock=lambda: now)
    found = []
    for _ in range(count):
        found.append(seconds(slo, rng.uniform(0.05, 0.3)))
        slo.sent(rng.randrange(500, 5000), now)
        now += rng.uniform(0.03, 0.2)
        slo.replied({"decode": 1.0, "queue": 0.0, "compute": rng.uniform(15, 25)}, 0, now)
    return found


def seconds(slo: Slo, left_s: float) -> float:
    """One decision; that there is no plan is one as well."""
    started = time.perf_counter()
    with contextlib.suppress(Unmeetable):
        slo.plan(left_s)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
