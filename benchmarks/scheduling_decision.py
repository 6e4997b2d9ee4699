"""Times one decision of the scheduler: the learned policy against the exact planner, in thousands of states.

    python benchmarks/scheduling_decision.py --tables FILE [--policy FILE] [--json OUT]

Without a policy an untrained network of the same size is timed, which takes as long. Both decide on the same states,
one after the other; the ratio is that of the medians, with the 10 % and 90 % quantiles of the single ratios beside it.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.scheduling.actions import actions, random_state
from edge_runtime.scheduling.features import FEATURES
from edge_runtime.scheduling.learned import LearnedPolicy
from edge_runtime.scheduling.planner import Planner
from edge_runtime.scheduling.tables import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.scheduling.plans import Plan
    from edge_runtime.scheduling.state import Policy, State

WARM_UP = 500


def main() -> None:
    """Time, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--policy", type=Path, help="an ONNX file of `edge-export train bps-policy`")
    parser.add_argument("--most-loss", type=float, default=0.01)
    parser.add_argument("--states", type=int, default=5000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tables = load(options.tables)
    model = options.policy.read_bytes() if options.policy else untrained(actions(tables, options.most_loss))
    learned = LearnedPolicy(model, tables, options.most_loss)
    planner = Planner.of(tables, options.most_loss)
    rng = random.Random(0)
    states = [random_state(rng) for _ in range(WARM_UP + options.states)]
    times = np.array([[seconds(policy, state) for policy in (learned, planner)] for state in states])[WARM_UP:]
    ratios = times[:, 0] / times[:, 1]
    medians = np.median(times, axis=0)
    report = {
        "states": options.states,
        "actions": len(learned.plans),
        "plans": len(planner.costs.plans),
        "learned_us": round(medians[0] * 1e6, 1),
        "planner_us": round(medians[1] * 1e6, 1),
        "ratio": round(medians[0] / medians[1], 3),
        "ratio_p10_p90": np.percentile(ratios, (10, 90)).round(3).tolist(),
    }
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def seconds(policy: Policy, state: State) -> float:
    """One decision."""
    started = time.perf_counter()
    policy.choose(state)
    return time.perf_counter() - started


def untrained(plans: Sequence[Plan]) -> bytes:
    """A policy's file before any training."""
    from torch import nn

    from exporters.policy import write_policy
    from exporters.training.bps_policy import HIDDEN

    sides = (len(FEATURES), *HIDDEN)
    layers = [layer for pair in pairwise(sides) for layer in (nn.Linear(*pair), nn.ReLU())]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        write_policy(nn.Sequential(*layers, nn.Linear(sides[-1], len(plans))), plans, path)
        return path.read_bytes()


if __name__ == "__main__":
    main()
