"""Random worlds to train the scheduler's policy in: links, loads, slowdowns and wrong tables of every kind."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.scheduling.planner import Planner
from edge_runtime.scheduling.simulator import Load, Settings, Simulation, World
from edge_runtime.scheduling.state import State
from edge_runtime.scheduling.traces import Trace, bursts, markov, poisson, random_walk, steady, until

if TYPE_CHECKING:
    from edge_runtime.scheduling.plans import Plan
    from edge_runtime.scheduling.state import Policy
    from edge_runtime.scheduling.tables import Tables, Times

# Simulated seconds for which a world's traces and arrivals are made up.
DURATION_S = 60.0
MBIT = 1e6 / 8


@dataclass(frozen=True)
class Episode:
    """A world, what comes in, and what the scheduler believes at first.

    ``arrivals`` in seconds, None for a queue that never empties; ``rate`` of them per second on average, then infinite.
    """

    world: World
    believed: Tables
    settings: Settings
    seed: int
    deadline_s: float = math.inf
    arrivals: list[float] | None = None
    rate: float = math.inf

    def simulation(self, policy: Policy) -> Simulation:
        """The episode from its beginning, under ``policy``."""
        load = Load(self.arrivals, math.inf, self.deadline_s)
        return Simulation(self.world, policy, load, self.believed, self.settings, self.seed)

    def truth(self, now: float, queue: int = 0, plan: Plan | None = None) -> State:
        """The state that someone would see who knows the world, to be judged by the true tables."""
        return State(
            queue=queue,
            arrival_rate=self.rate,
            deadline_s=self.deadline_s,
            link=LinkView(self.world.bandwidth.at(now), self.world.round_trip_s),
            device_factor=self.world.device.at(now),
            server_factor=self.world.server.at(now),
            plan=plan,
        )


def draw(tables: Tables, most_loss: float, seed: int) -> Episode:
    """A random episode, the same for the same seed.

    Bandwidth is 0.1 to 100 Mbit/s (log-uniform), constant or as `_bandwidth` has it; the device is slower by 1 to 12,
    now and then changing, the server by 1 to 3; times are noisy by 0 to 30 %, and the believed tables wrong by up to a
    factor of 2 for the device's and the server's part of every site. The load is 0.1 to 1.5 of what the best plan can
    do at first, or saturating; deadlines are none, or 30 to 500 ms, but never shorter than two of the shortest answers.
    """
    rng = random.Random(seed)
    world = World(
        tables=_mistaken(tables, rng),
        bandwidth=_bandwidth(rng),
        round_trip_s=_between(rng, 0.002, 0.1),
        device=_slowdown(rng),
        server=Trace.constant(_between(rng, 1, 3)),
        noise=rng.uniform(0, 0.3),
    )
    settings = Settings(bandwidth=world.bandwidth.at(0.0) * _between(rng, 0.5, 2))
    episode = Episode(world, tables, settings, seed)
    planner = Planner.of(world.tables, most_loss)
    quickest = planner.explain(replace(episode.truth(0.0), arrival_rate=0.0)).chosen
    deadline_s = rng.choice((math.inf, max(_between(rng, 0.03, 0.5), 2 * quickest.latency_s)))
    episode = replace(episode, deadline_s=deadline_s)
    best = planner.explain(episode.truth(0.0)).chosen
    rate, arrivals = _arrivals(rng, best.rate)
    return replace(episode, arrivals=arrivals, rate=rate)


def _arrivals(rng: random.Random, capacity: float) -> tuple[float, list[float] | None]:
    rate = capacity * _between(rng, 0.1, 1.5)
    kind = rng.choice(("steady", "poisson", "bursts", "saturating"))
    if kind == "saturating":
        return math.inf, None
    if kind == "steady":
        return rate, until(steady(rate), DURATION_S)
    if kind == "poisson":
        return rate, until(poisson(rate, rng.randrange(2**32)), DURATION_S)
    return rate, until(bursts(rate, rng.randint(2, 16), rng.randrange(2**32)), DURATION_S)


def _bandwidth(rng: random.Random) -> Trace:
    """Constant; jumping between a third, the whole and three times as much; walking within a factor of 3; or a step."""
    base = _between(rng, 0.1, 100) * MBIT
    kind = rng.choice(("constant", "markov", "walk", "step"))
    if kind == "markov":
        return markov((base / 3, base, base * 3), _between(rng, 1, 10), DURATION_S, rng.randrange(2**32))
    if kind == "walk":
        return random_walk(base / 3, base * 3, 0.5, DURATION_S, rng.randrange(2**32))
    if kind == "step":
        return Trace([(0.0, base), (rng.uniform(1, 20), _between(rng, 0.1, 100) * MBIT)])
    return Trace.constant(base)


def _slowdown(rng: random.Random) -> Trace:
    steps = [(0.0, _between(rng, 1, 12))]
    if rng.random() < 0.3:
        steps.append((rng.uniform(1, 20), _between(rng, 1, 12)))
    return Trace(steps)


def _mistaken(tables: Tables, rng: random.Random) -> Tables:
    """The truth behind tables that are wrong: every list of times scaled by a factor of its own."""
    sites = [
        msgspec.structs.replace(site, device_s=_scaled(site.device_s, rng), server_s=_scaled(site.server_s, rng))
        for site in tables.sites
    ]
    return msgspec.structs.replace(tables, local_s=_scaled(tables.local_s, rng), sites=tuple(sites))


def _scaled(times: Times, rng: random.Random) -> Times:
    factor = _between(rng, 0.5, 2)
    return {batch: taken_s * factor for batch, taken_s in times.items()}


def _between(rng: random.Random, low: float, high: float) -> float:
    """A log-uniform value."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))
