"""Plays photos over a changing link in virtual time: the planner of two rounds against an oracle that knows the link.

    python benchmarks/slo_simulation.py --tables FILE [--photos 2000] [--json OUT]

The oracle knows the bandwidth to come, and the 95th percentiles of payloads, jitter and server times, but not those of
the photo at hand. Accuracies are the tables'. A second round that was asked for and not answered in time costs what it
would have brought.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.control.round_plans import ROUND_BYTES, RoundPlans
from edge_runtime.control.rounds import RoundTables, Setting
from edge_runtime.control.slo import Slo
from edge_runtime.errors import Unmeetable
from edge_runtime.scheduling.traces import Trace, markov, random_walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.control.rounds import Bytes

# A photo is packed, or cut out for the second round, in so many seconds.
DEVICE_S = 0.002
# Normal deviates between a mean and its 95th percentile.
DEVIATES_95 = 1.645
PERIOD_S = 0.25


@dataclass(frozen=True, slots=True)
class World:
    """A link's ``trace`` in bytes a second with its round trip, and photos with ``deadline_s`` each ``period_s``.

    A round takes an exponential time of mean ``jitter_s`` beyond all else; the server takes ``server_factor`` times its
    tables, log-normally spread by ``server_noise``.
    """

    trace: Trace
    deadline_s: float
    period_s: float = PERIOD_S
    round_trip_s: float = 0.02
    jitter_s: float = 0.001
    server_factor: float = 1.0
    server_noise: float = 0.1


class Chance(NamedTuple):
    """What befalls one photo: its size as a normal deviate, seconds and server factors by round, a share of 1.

    The server asks for a second round if that share is below the plan's.
    """

    deviate: float
    extra_s: NDArray[np.float64]
    server: NDArray[np.float64]
    share: float


class Outcome(NamedTuple):
    """One photo: whether it was answered in time, how accurately in the mean, and what crossed the link for it."""

    met: bool
    accuracy: float
    sent: float


class Line:
    """The link and the server of a world, photo after photo; ``free_s`` is when the link has sent all it was given."""

    def __init__(self, world: World, tables: RoundTables) -> None:
        self.world = world
        self.free_s = 0.0
        self._first, self._second = (
            [_sizes(row) for row in table] for table in (tables.first_bytes, tables.second_bytes)
        )
        self._server_s = np.array(tables.server_ms.first) / 1e3, np.array(tables.server_ms.update) / 1e3

    def payload(self, round_: int, setting: int, count: int, chance: Chance) -> float:
        """Bytes of the payload of round 0 or 1, ``count`` being a place on the tables' axis."""
        mean, deviation = (self._first, self._second)[round_][setting][count]
        return max(mean + deviation * chance.deviate, mean / 2)

    def work_s(self, round_: int, count: int, chance: Chance) -> float:
        """Seconds of the server."""
        return float(self._server_s[round_][count] * chance.server[round_])

    def reply_s(self, round_: int, sent_s: float, size: float, work_s: float, chance: Chance) -> float:
        """When the reply comes to what was sent then; the link stays busy until it is through."""
        self.free_s = self.world.trace.finish(max(sent_s, self.free_s), size + ROUND_BYTES)
        return self.free_s + self.world.round_trip_s + work_s + float(chance.extra_s[round_])


def _sizes(row: Sequence[Bytes]) -> list[tuple[float, float]]:
    """Mean and standard deviation by count."""
    return [(one.mean, (one.most - one.mean) / DEVIATES_95) for one in row]


def chances(world: World, photos: int, seed: int) -> list[Chance]:
    """The same for planner and oracle."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(photos):
        server = world.server_factor * np.exp(world.server_noise * rng.standard_normal(2))
        found.append(Chance(rng.standard_normal(), rng.exponential(world.jitter_s, 2), server, rng.random()))
    return found


class Player:
    """Answers a world's photos by the planner, on a clock of its own."""

    def __init__(self, world: World, tables: RoundTables, wanted: float | None) -> None:
        self.tables, self.now = tables, 0.0
        self.line = Line(world, tables)
        link = LinkEstimate(world.trace.at(0.0), world.round_trip_s)
        self.slo = Slo(tables, link, wanted=wanted, clock=lambda: self.now)

    def answer(self, start_s: float, chance: Chance) -> Outcome:
        """One photo that comes at ``start_s``."""
        self.now = start_s
        due_s = start_s + self.line.world.deadline_s
        try:
            plan = self.slo.plan(due_s - start_s)
        except Unmeetable:
            return Outcome(met=False, accuracy=0.0, sent=0.0)
        tables = self.tables
        setting = tables.settings.index(Setting(plan.codec, plan.quality))
        first, second = tables.first.index(plan.first), tables.second.index(plan.second)
        met, sent = self._round(0, setting, first, chance, due_s)
        if not met or not chance.share < plan.asked:
            return Outcome(met, plan.accuracy, sent)
        # What second rounds bring, they bring to those photos that have one.
        alone = tables.accuracy[setting][first][0][0] or 0.0
        without = plan.accuracy - (plan.accuracy - alone) / plan.asked
        if not self.slo.second_fits(plan, plan.second, due_s - self.now):
            return Outcome(met, without, sent)
        met, more = self._round(1, setting, second, chance, due_s)
        return Outcome(met, plan.accuracy if met else without, sent + more)

    def _round(self, round_: int, setting: int, count: int, chance: Chance, due_s: float) -> tuple[bool, float]:
        """Whether it was answered in time, and its bytes on the link."""
        size = self.line.payload(round_, setting, count, chance)
        work_s = self.line.work_s(round_, count, chance)
        sent_s = self.now + DEVICE_S
        self.slo.sent(round(size), sent_s)
        reply_s = self.line.reply_s(round_, sent_s, size, work_s, chance)
        self.now = min(reply_s, due_s)
        if reply_s > due_s:
            self.slo.lost(due_s)
        else:
            self.slo.replied({"decode": 0.0, "queue": 0.0, "compute": work_s * 1e3}, 0, reply_s)
        return reply_s <= due_s, size + ROUND_BYTES


class Oracle:
    """Answers a world's photos by the best plan, knowing the bandwidth to come and how all else is spread."""

    def __init__(self, world: World, tables: RoundTables, wanted: float | None) -> None:
        self.line = Line(world, tables)
        self.plans = RoundPlans(tables, wanted, 0.0)
        server = world.server_factor * math.exp(DEVIATES_95 * world.server_noise)
        extra_s = -math.log(0.05) * world.jitter_s
        self.careful = Chance(DEVIATES_95, np.full(2, extra_s), np.full(2, server), 0.0)

    def answer(self, start_s: float, chance: Chance) -> Outcome:
        """One photo that comes at ``start_s``."""
        columns = self.plans.columns
        due_s = start_s + self.line.world.deadline_s
        foreseen_s = self._foreseen_s(start_s)[columns.setting, columns.first, columns.second]
        best = int((foreseen_s <= due_s).argmax())
        if foreseen_s[best] > due_s:
            return Outcome(met=False, accuracy=0.0, sent=0.0)
        setting, first, second = (int(axis[best]) for axis in (columns.setting, columns.first, columns.second))
        end_s = self._reply_s(0, setting, first, start_s, chance)
        sent = self.line.payload(0, setting, first, chance) + ROUND_BYTES
        if chance.share < columns.asked[best]:
            end_s = self._reply_s(1, setting, second, end_s, chance)
            sent += self.line.payload(1, setting, second, chance) + ROUND_BYTES
        return Outcome(end_s <= due_s, float(columns.accuracy[best]), sent)

    def _foreseen_s(self, start_s: float) -> NDArray[np.float64]:
        """When both rounds should have been answered at the latest, ``[settings, first, second]``."""
        tables = self.plans.tables
        end_s = np.empty((len(tables.settings), len(tables.first), len(tables.second)))
        for setting, first in np.ndindex(end_s.shape[:2]):
            end_s[setting, first, 0] = first_s = self._reply_s(0, setting, first, start_s, self.careful)
            for second in range(1, len(tables.second)):
                end_s[setting, first, second] = self._reply_s(1, setting, second, first_s, self.careful)
        return end_s

    def _reply_s(self, round_: int, setting: int, count: int, now: float, chance: Chance) -> float:
        self.line.free_s = 0.0
        size, work_s = self.line.payload(round_, setting, count, chance), self.line.work_s(round_, count, chance)
        return self.line.reply_s(round_, now + DEVICE_S, size, work_s, chance)


def compare(
    world: World, tables: RoundTables, photos: int, *, wanted: float | None = None, seed: int = 0
) -> dict[str, float]:
    """How the planner fares beside the oracle.

    ``met`` and ``oracle_met`` are the shares answered in time; ``accuracy_lost``, in points, and ``bytes``, a ratio of
    means, are over the photos that both answer in time.
    """
    found = chances(world, photos, seed)
    player, oracle = Player(world, tables, wanted), Oracle(world, tables, wanted)
    ours = [player.answer(number * world.period_s, chance) for number, chance in enumerate(found)]
    best = [oracle.answer(number * world.period_s, chance) for number, chance in enumerate(found)]
    both = [(one, other) for one, other in zip(ours, best, strict=True) if one.met and other.met]
    return {
        "met": sum(one.met for one in ours) / photos,
        "oracle_met": sum(other.met for other in best) / photos,
        "accuracy_lost": 100 * float(np.mean([other.accuracy - one.accuracy for one, other in both])),
        "bytes": sum(one.sent for one, _ in both) / sum(other.sent for _, other in both),
    }


def worlds(duration_s: float) -> dict[str, World]:
    """Links of 0.5 to 20 Mbit/s, steady, in steps, jumping and walking, with deadlines from tight to comfortable."""
    mbit = 1e6 / 8
    steps = Trace([(10.0 * n, (20 if n % 2 == 0 else 0.5) * mbit) for n in range(math.ceil(duration_s / 10))])
    links = {
        "steady 2 Mbit/s": Trace.constant(2 * mbit),
        "steps 20, 0.5 Mbit/s": steps,
        "jumps": markov([0.5 * mbit, 2 * mbit, 8 * mbit, 20 * mbit], 5.0, duration_s, 0),
        "walk": random_walk(0.5 * mbit, 20 * mbit, 1.0, duration_s, 0),
    }
    return {
        f"{name}, {deadline_s * 1e3:.0f} ms, jitter {jitter_s * 1e3:.0f} ms": World(
            trace, deadline_s, jitter_s=jitter_s
        )
        for name, trace in links.items()
        for deadline_s in (0.08, 0.12, 0.2)
        for jitter_s in (0.001, 0.003)
    }


def main() -> None:
    """Play every world, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="of a bundle's rounds")
    parser.add_argument("--wanted", type=float, help="accuracy 0..1 (default: the best)")
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tables = RoundTables.load(options.tables.read_bytes())
    report = {}
    print(f"{'':40}      met  oracle's  points lost  bytes")
    for name, world in worlds(options.photos * PERIOD_S).items():
        found = report[name] = compare(world, tables, options.photos, wanted=options.wanted)
        met, oracle_met, lost, sent = found.values()
        print(f"{name:40} {met:8.2%} {oracle_met:9.2%} {lost:12.2f} {sent:6.2f}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"wanted": options.wanted, "worlds": report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
