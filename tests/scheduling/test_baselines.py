"""Every rival does what its idea can do, and nothing more."""

from __future__ import annotations

import math

import msgspec
import pytest

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.scheduling import traces
from edge_runtime.scheduling.baselines import baselines
from edge_runtime.scheduling.forecast import Costs
from edge_runtime.scheduling.planner import Planner
from edge_runtime.scheduling.plans import BATCHES, LOCAL, Plan
from edge_runtime.scheduling.simulator import Load, World, simulate
from edge_runtime.scheduling.state import Policy, State
from edge_runtime.scheduling.tables import Tables
from edge_runtime.scheduling.traces import Trace

MOST_LOSS = 0.01
NAMES = [
    "local",
    "remote",
    "static data parallel",
    "neurosurgeon",
    "neurosurgeon 8 bit",
    "dads",
    "batch only",
    "pipeline only",
]


def policy(tables: Tables, name: str) -> Policy:
    """The baseline of that name."""
    return next(one for one in baselines(tables, MOST_LOSS) if one.name == name)


def state(bandwidth: float = 1e6, queue: int = 60, *, reachable: bool = True, deadline_s: float = math.inf) -> State:
    """A saturated moment over a link of so many bytes a second."""
    return State(queue, 1000.0, deadline_s, LinkView(bandwidth, 0.02, reachable=reachable))


def test_all_of_them_are_there(tables: Tables) -> None:
    """In the order in which they are reported."""
    assert [one.name for one in baselines(tables, MOST_LOSS)] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_without_a_link_each_computes_here(tables: Tables, name: str) -> None:
    """None sends into the void."""
    assert not policy(tables, name).choose(state(reachable=False)).sends


@pytest.mark.parametrize("name", NAMES)
def test_none_sends_photos_that_lose_too_much(tables: Tables, name: str) -> None:
    """Where no level is within the loss no photo travels."""
    strict = next(one for one in baselines(tables, 0.0) if one.name == name)
    assert strict.choose(state(1e9)).cut or not strict.choose(state(1e9)).sends
    photos = policy(tables.slowed(100), name).choose(state(1e9))
    assert photos.level in {"", "jpeg q30"}


def test_static_data_parallel_divides_once_and_for_all(tables: Tables) -> None:
    """The best share over the link as it was profiled, by trying each; another link changes nothing."""
    slow = tables.slowed(4)
    fixed = policy(slow, "static data parallel")
    profiled = state(slow.bandwidth)
    shares = [Plan("data-parallel", 8, "", "jpeg q30", local) for local in range(1, 8)]
    rates = Costs(slow, shares).forecast(profiled).rate
    assert fixed.choose(profiled) == shares[int(rates.argmax())]
    assert fixed.choose(state(1e4)) == fixed.choose(state(1e8)) == fixed.choose(profiled)


@pytest.mark.parametrize("name", ["neurosurgeon", "neurosurgeon 8 bit"])
@pytest.mark.parametrize("bandwidth", [1e4, 1e5, 1e6, 1e7, 1e8])
def test_neurosurgeon_takes_the_lowest_latency(tables: Tables, name: str, bandwidth: float) -> None:
    """Of computing here, sending photos and each cut's uncompressed maps, one at a time."""
    slow = tables.slowed(10)
    level = "half" if name == "neurosurgeon" else "uniform 8 bit"
    choices = [LOCAL, Plan("remote", 1, "", "jpeg q30")] + [Plan("split", 1, cut, level) for cut in ("early", "late")]
    latencies = Costs(slow, choices).forecast(state(bandwidth)).latency_s
    assert policy(slow, name).choose(state(bandwidth)) == choices[int(latencies.argmin())]


def test_a_cut_whose_uncompressed_maps_were_not_measured_is_no_choice(tables: Tables) -> None:
    """Where sending is all that pays and photos may not travel, the other cut is left."""

    def without(*uncompressed: str) -> Tables:
        sites = [
            msgspec.structs.replace(
                one, levels=tuple(lv for lv in one.levels if lv.codec == "half" and one.cut not in uncompressed)
            )
            for one in tables.slowed(10).sites
        ]
        return msgspec.structs.replace(tables.slowed(10), sites=tuple(sites))

    near = State(60, 1000.0, math.inf, LinkView(1e9, 0.0))
    assert policy(without(), "neurosurgeon").choose(near).cut == "early"
    assert policy(without("early"), "neurosurgeon").choose(near).cut == "late"
    assert policy(without("early", "late"), "neurosurgeon").choose(near) == LOCAL


def test_batch_only_batches_and_keeps_deadlines(tables: Tables) -> None:
    """The largest batch is the fastest; a deadline that it misses leaves a smaller one; nothing ever overlaps."""
    batches = policy(tables, "batch only")
    assert batches.choose(state()) == Plan("local", max(BATCHES))
    assert batches.choose(state(deadline_s=0.05)) == Plan("local", 8)
    assert policy(tables.slowed(10), "batch only").choose(state(1e7)).in_flight == 1


def test_pipeline_only_overlaps_single_frames(tables: Tables) -> None:
    """As many requests as keep the busiest stage busy, each of one photo."""
    plan = policy(tables.slowed(10), "pipeline only").choose(state(1e7))
    assert (plan.mode, plan.batch) == ("remote", 1)
    assert plan.in_flight > 3
    assert policy(tables, "pipeline only").choose(state(1e4)) == LOCAL


@pytest.mark.parametrize(("slower", "mbit"), [(1, 1), (4, 4), (10, 1), (10, 16)])
def test_each_reaches_what_its_idea_can_do(tables: Tables, slower: float, mbit: float) -> None:
    """Saturated in the simulator: at least 95 % of the rate of its best plan, and BPS above all of them."""
    slow = tables.slowed(slower)
    link = mbit * 1e6 / 8
    remote, runs = Plan("remote", 1, "", "jpeg q30"), [Plan("local", batch) for batch in BATCHES]
    forecast = Costs(slow, [LOCAL, remote, *runs]).forecast(state(link))
    local, single, batched = forecast.rate[0], forecast.rate[1], forecast.rate[2:].max()
    lone = 1 / forecast.latency_s[1]
    expected = {
        "local": local,
        "remote": lone,
        "neurosurgeon": max(local, lone),
        "neurosurgeon 8 bit": max(local, lone),
        "dads": max(local, single),
        "pipeline only": max(local, single),
        "batch only": batched,
    }
    world = World(slow, Trace.constant(link), 0.02)
    rates = {
        one.name: simulate(world, one, Load(None, 20)).rate()
        for one in [*baselines(slow, MOST_LOSS), Planner.of(slow, MOST_LOSS)]
    }
    assert {name: rates[name] >= 0.95 * rate for name, rate in expected.items()} == dict.fromkeys(expected, True)
    assert rates["bps"] > 1.1 * max(rate for name, rate in rates.items() if name != "bps")


@pytest.mark.parametrize("name", NAMES)
def test_an_outage_loses_no_frame_of_theirs(tables: Tables, name: str) -> None:
    """They run in the same executor, so the link's return finds those that send single frames."""
    slow = tables.slowed(10)
    arrivals = traces.until(traces.steady(10), 12)
    run = simulate(
        World(slow, Trace.constant(2e6), 0.02, outages=((5.0, 7.0),)), policy(slow, name), Load(arrivals, 20)
    )
    assert len(run.outcomes) == len(arrivals)
    by_server = [one.done_s for one in run.outcomes if one.fate == "server"]
    assert name in {"local", "static data parallel"} or max(by_server) > 7.5
