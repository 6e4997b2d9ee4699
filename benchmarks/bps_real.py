"""Cells and single plans for real: the executor, real models, a real server, and the link shaper between them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bps_cells import Cell
from bps_summary import OURS, row
from tqdm import tqdm

from edge_runtime.evaluation.bps import Run, Scenario, Shots, run, simulated
from edge_runtime.evaluation.link import open_link, serving
from edge_runtime.evaluation.points import wilson
from edge_runtime.profiling.scheduler import retime
from edge_runtime.scheduling.device import Device
from edge_runtime.scheduling.forecast import useful_levels
from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.simulator import JOINED_FRAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bps_cells import Subject

    from edge_runtime.scheduling.state import Policy, State
    from edge_runtime.scheduling.tables import Tables

CELLS = (
    Cell(0.25, 4, "saturating"),
    Cell(1, 1, "saturating"),
    Cell(1, 10, "saturating"),
    Cell(4, 4, "saturating"),
    Cell(4, 10, "bursty"),
    Cell(16, 4, "steady"),
    Cell(64, 10, "saturating"),
)
SECONDS, ROUNDS = 6.0, 2

# Plans of every mode on links where different stages are the bottleneck: Mbit/s, how much slower the device is, and
# the plan, whose level is the smallest within the loss.
VALIDATED = (
    (4, 1, Plan("local", 1)),
    (4, 4, Plan("local", 4)),
    (1, 4, Plan("remote", 1, in_flight=4)),
    (4, 1, Plan("remote", 4, in_flight=4)),
    (1, 4, Plan("data-parallel", 4, local=2)),
    (4, 4, Plan("split", 1, "conv22")),
    (1, 4, Plan("split-pipeline", 2, "conv22", in_flight=6)),
    (16, 10, Plan("split-pipeline", 1, "conv16", in_flight=4)),
    (1, 10, Plan("hybrid", 1, "conv36", local=1, in_flight=6)),
    (4, 4, Plan("hybrid", 2, local=1, in_flight=6)),
)
VALIDATION_S, VALIDATION_ROUNDS = 8.0, 2


class Always:
    """A policy that knows one plan."""

    probe = None

    def __init__(self, plan: Plan) -> None:
        self.name = plan.name
        self.plan = plan

    def choose(self, state: State) -> Plan:
        """The plan, where the link is there."""
        return self.plan if state.link.reachable else LOCAL


class Rig:
    """A subject's device and photos, and the address of its server."""

    def __init__(self, subject: Subject, address: str) -> None:
        self.subject, self._address = subject, address
        self.device = Device(subject.bundle, subject.tables.network)
        self._shots = Shots(subject.photos, subject.bundle.frame)

    def run(self, scenario: Scenario, policy: Policy, tables: Tables) -> Run:
        """A policy that believes ``tables``, on a link of its own."""
        with open_link(self.subject.bundle, self._address) as link:
            return run(scenario, policy, tables, self.device, link, self._shots)

    def retimed(self) -> Tables:
        """The subject's tables with the times of this moment."""
        subject = self.subject
        with open_link(subject.bundle, self._address) as link:
            return retime(subject.tables, subject.bundle, self.device, link, subject.photos, JOINED_FRAMES)


def measure_cells(
    subject: Subject, cells: Sequence[Cell] = CELLS, seconds: float = SECONDS, rounds: int = ROUNDS
) -> list[dict[str, Any]]:
    """Some cells, every policy in turn, round after round; rates are the rounds' medians."""
    with serving(subject.bundle.folder) as address:
        rig = Rig(subject, address)
        return [_measured(rig, cell, seconds, rounds) for cell in tqdm(cells, desc="real", unit="cell")]


def _measured(rig: Rig, cell: Cell, seconds: float, rounds: int) -> dict[str, Any]:
    runs: defaultdict[str, list[Run]] = defaultdict(list)
    scenario, tables = cell.scenario(seconds), rig.subject.tables.slowed(cell.slower)
    for _ in range(rounds):
        for policy in rig.subject.policies(cell.slower):
            runs[policy.name].append(rig.run(scenario, policy, tables))
    return _row(cell, runs)


def _row(cell: Cell, runs: dict[str, list[Run]]) -> dict[str, Any]:
    """The accuracy is ours, over all rounds."""
    rates = {name: [one.timeline.rate() for one in found] for name, found in runs.items()}
    ours = runs[OURS]
    answered, right = sum(one.answered for one in ours), sum(one.right for one in ours)
    return {
        **row(cell, {name: statistics.median(found) for name, found in rates.items()}),
        "rounds": rates,
        "plan": next(iter(ours[-1].timeline.summary()["plans"])),
        "answered": answered,
        "accuracy": right / answered,
        "interval": wilson(right, answered),
    }


def validate(
    subject: Subject,
    plans: Sequence[tuple[float, int, Plan]] = VALIDATED,
    seconds: float = VALIDATION_S,
    rounds: int = VALIDATION_ROUNDS,
) -> list[dict[str, Any]]:
    """Single plans, real and simulated; the simulation has the times measured right before and after the real run."""
    rows = []
    with serving(subject.bundle.folder) as address:
        rig = Rig(subject, address)
        # What was measured after a run was measured before the next one.
        measured = [rig.retimed()]
        for mbit, slower, wanted in tqdm(plans, desc="validation", unit="plan"):
            policy = Always(_levelled(wanted, subject))
            scenario = Cell(mbit, slower, "saturating").scenario(seconds)
            pairs = []
            for _ in range(rounds):
                real = rig.run(scenario, policy, measured[-1].slowed(slower)).timeline.rate()
                measured.append(rig.retimed())
                foreseen = [simulated(scenario, policy, tables).timeline.rate() for tables in measured[-2:]]
                pairs.append((real, statistics.mean(foreseen)))
            rows.append({"mbit": mbit, "slower": slower, "plan": policy.name, **_compared(pairs)})
    return rows


def _compared(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Rounds of a real rate and a simulated one."""
    ratios = [foreseen / real for real, foreseen in pairs]
    return {
        "real": statistics.median(real for real, _ in pairs),
        "simulated": statistics.median(foreseen for _, foreseen in pairs),
        "simulated_over_real": statistics.median(ratios),
        "rounds": ratios,
    }


def _levelled(plan: Plan, subject: Subject) -> Plan:
    if not plan.sends:
        return plan
    levels = useful_levels(subject.tables.site(plan.cut), subject.most_loss)
    return replace(plan, level=min(levels, key=lambda level: level.payload_bytes).name)
