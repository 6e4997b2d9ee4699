"""The scheduler where what it believes is not so: wrong tables, a link that breaks down, more work than can be done."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bps_cells import BANDWIDTHS, MBIT, ROUND_TRIP_S, SLOWER
from tqdm import tqdm

from edge_runtime.scheduling.planner import Planner
from edge_runtime.scheduling.simulator import Load, Settings, Simulation, World, simulate
from edge_runtime.scheduling.timeline import order_problems
from edge_runtime.scheduling.traces import Trace, markov, poisson, until
from exporters.training.bps_reward import oracle_course
from exporters.training.bps_worlds import Episode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bps_cells import Subject

    from edge_runtime.scheduling.timeline import Span

SECONDS = 60.0
SEEDS = (0, 1, 2)
UNCORRECTED = "uncorrected"
# The link that breaks down, and when.
BEFORE_MBIT, AFTER_MBIT, BREAK_S, STEP_S = 20, 1, 10.0, 20.0
OVERLOAD_S, DEADLINE_S = 3600, 1.0


@dataclass(frozen=True)
class Mistake:
    """How the world differs from the tables: factors on times, noise, a link that jumps."""

    name: str
    device: float = 1.0
    server: float = 1.0
    noise: float = 0.0
    jumps: bool = False

    @property
    def by_chance(self) -> bool:
        """Whether one seed's world is another one than the next seed's."""
        return self.noise > 0 or self.jumps

    def episode(self, subject: Subject, mbit: float, slower: int, seed: int) -> Episode:
        """A world that is wrong in this way, on a link of ``mbit`` Mbit/s with a device so many times slower."""
        rate, believed = mbit * MBIT, subject.tables.slowed(slower)
        link = markov((rate / 2, 2 * rate), 5.0, SECONDS, seed) if self.jumps else Trace.constant(rate)
        factors = Trace.constant(self.device), Trace.constant(self.server)
        return Episode(World(believed, link, ROUND_TRIP_S, *factors, self.noise), believed, Settings(), seed)


MISTAKES = (
    Mistake("none"),
    Mistake("device 2 × slower than measured", device=2.0),
    Mistake("device 2 × faster than measured", device=0.5),
    Mistake("server 3 × slower than measured", server=3.0),
    Mistake("30 % noise on every time and size", noise=0.3),
    Mistake("link jumps by 4 ×, every 5 s on average", jumps=True),
    Mistake("device 2 × slower, 30 % noise, jumping link", device=2.0, noise=0.3, jumps=True),
)


def wrong_tables(
    subject: Subject,
    mistakes: Sequence[Mistake] = MISTAKES,
    bandwidths: Sequence[float] = BANDWIDTHS,
    seeds: Sequence[int] = SEEDS,
) -> list[dict[str, Any]]:
    """Each mistake over all links and devices: answers per second as a share of what one who knows the truth gets."""
    rows = []
    for mistake in tqdm(mistakes, desc="wrong tables", unit="mistake"):
        shares: defaultdict[str, list[float]] = defaultdict(list)
        for mbit in bandwidths:
            for slower in SLOWER:
                for seed in seeds if mistake.by_chance else seeds[:1]:
                    for name, share in _shares(subject, mistake.episode(subject, mbit, slower, seed), slower).items():
                        shares[name].append(share)
        rows.append(
            {
                "mistake": mistake.name,
                "mean": {name: statistics.mean(found) for name, found in shares.items()},
                "least": {name: min(found) for name, found in shares.items()},
                "runs": len(shares[UNCORRECTED]),
            }
        )
    return rows


def _shares(subject: Subject, episode: Episode, slower: int) -> dict[str, float]:
    planner = Planner.of(episode.believed, subject.most_loss)
    best = _rate(oracle_course(episode, subject.most_loss).simulation)
    rivals = {
        UNCORRECTED: replace(episode, settings=Settings(corrects=False)).simulation(planner),
        **{policy.name: episode.simulation(policy) for policy in (planner, *subject.learned(slower))},
    }
    return {name: _rate(simulation) / best for name, simulation in rivals.items()}


def _rate(simulation: Simulation) -> float:
    return simulation.advance(SECONDS).rate()


def step(subject: Subject) -> list[dict[str, Any]]:
    """The link breaks down in mid-run: frames answered after that until a new plan is in force."""
    loads = {
        "saturating": Load(None, STEP_S),
        "30 a second": Load(until(poisson(30, 0), STEP_S), STEP_S, DEADLINE_S),
    }
    return [
        {"slower": slower, "arrivals": name} | _step(subject, slower, load)
        for slower in SLOWER
        for name, load in loads.items()
    ]


def _step(subject: Subject, slower: int, load: Load) -> dict[str, Any]:
    tables = subject.tables.slowed(slower)
    world = World(tables, Trace([(0.0, BEFORE_MBIT * MBIT), (BREAK_S, AFTER_MBIT * MBIT)]), ROUND_TRIP_S)
    timeline = simulate(world, Planner.of(tables, subject.most_loss), load)
    before = [plan for at_s, plan in timeline.plans if at_s < BREAK_S]
    changes = [(at_s, plan) for at_s, plan in timeline.plans if at_s >= BREAK_S]
    changed_s = changes[0][0] if changes else math.inf
    return {
        "before": before[-1],
        "new_plan": changes[0][1] if changes else None,
        "finally": changes[-1][1] if changes else before[-1],
        "after_s": changed_s - BREAK_S if changes else None,
        # What a slow link has to do with: what had crossed before, and what is computed here, is answered as ever.
        "sent": sum(span.frames for span in timeline.spans if _sent_meanwhile(span, changed_s)),
        "answered": sum(BREAK_S <= one.done_s < changed_s for one in timeline.outcomes if one.in_time),
    }


def _sent_meanwhile(span: Span, changed_s: float) -> bool:
    return span.lane == "link" and BREAK_S <= span.start_s < changed_s


def overload(subject: Subject, seconds: int = OVERLOAD_S) -> dict[str, Any]:
    """So long twice the best plan's rate, on the slowest device at 1 Mbit/s, with a second to each frame's deadline."""
    tables = subject.tables.slowed(SLOWER[-1])
    world = World(tables, Trace.constant(MBIT), ROUND_TRIP_S, noise=0.1)
    planner = Planner.of(tables, subject.most_loss)
    alone = simulate(world, planner, Load(None, SECONDS)).rate()
    simulation = Simulation(world, planner, Load(until(poisson(2 * alone, 0), seconds), seconds, DEADLINE_S))
    most_waiting = 0
    for second in range(1, seconds + 1):
        simulation.advance(float(second))
        most_waiting = max(most_waiting, simulation.dispatcher.queue)
    found = simulation.timeline.summary()
    return {
        "arrivals_per_second": 2 * alone,
        "best_rate": alone,
        "in_time_per_second": found["rate"],
        "frames": found["frames"],
        "most_waiting": most_waiting,
        "fates": found["fates"],
        "accounts": order_problems(simulation.timeline, []),
    }
