"""Every mode's forecast against the table of the reconstruction, worked out by hand, and the plans that there are.

The example tables: computing n frames takes 1 + 4·n ms on either side, before "late" 1 + 2.7·n ms, behind it
1 + 0.5·n ms; encoding and decoding 0.2 ms a frame, a request 0.5 ms on either side.
"""

from __future__ import annotations

import math

import msgspec
import pytest

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling.forecast import Costs, Stages, candidates, useful_levels
from edge_runtime.scheduling.plans import MOST_IN_FLIGHT, Plan
from edge_runtime.scheduling.state import State
from edge_runtime.scheduling.tables import Tables

BANDWIDTH, ROUND_TRIP_S = 1e5, 0.02
REPLY_S = 120 / BANDWIDTH
PHOTOS = ("", "jpeg q30", 5500)
MAPS = ("late", "ff q40", 1200)


def foresee(tables: Tables, plan: Plan, **changes: float) -> Stages:
    """One plan's forecast over a link of 0.8 Mbit/s."""
    state = State(0, math.inf, math.inf, LinkView(BANDWIDTH, ROUND_TRIP_S), **changes)
    return Costs(tables, [plan]).forecast(state).stages(0)


def test_local_takes_a_run(tables: Tables) -> None:
    """LOCAL(n): tL(n)."""
    foreseen = foresee(tables, Plan("local", 8))
    assert foreseen.latency_s == pytest.approx(0.033)
    assert foreseen.rate == pytest.approx(8 / 0.033)
    assert foreseen.payload_bytes == 0


def test_remote_overlaps_transfer_and_computing(tables: Tables) -> None:
    """REMOTE(n), pipelined: a request each max(n·s/W, tR(n)); the lone one takes all stages one after another."""
    foreseen = foresee(tables, Plan("remote", 4, *PHOTOS[:2]))
    device_s, link_s, server_s = 4 * 2e-4 + 5e-4, (4 * 5500 + 200) / BANDWIDTH, 0.017 + 4 * 2e-4 + 5e-4
    assert (foreseen.device_s, foreseen.link_s, foreseen.server_s) == pytest.approx((device_s, link_s, server_s))
    assert foreseen.rate == pytest.approx(4 / link_s)
    assert foreseen.latency_s == pytest.approx(device_s + link_s + ROUND_TRIP_S + server_s + REPLY_S)


def test_data_parallel_waits_for_the_slower_side(tables: Tables) -> None:
    """DP(n, a): max(tL(a·n), (1-a)·n·s/W + RTT + tR((1-a)·n)), the device encoding before it computes."""
    few, many = (Plan("data-parallel", 8, *PHOTOS[:2], local=local) for local in (1, 7))
    remote_s = 7 * 2e-4 + 5e-4 + (7 * 5500 + 200) / BANDWIDTH + ROUND_TRIP_S + 0.029 + 7 * 2e-4 + 5e-4 + REPLY_S
    assert foresee(tables, few).latency_s == pytest.approx(remote_s)
    assert foresee(tables, few).rate == pytest.approx(8 / remote_s)
    quick = State(0, math.inf, math.inf, LinkView(1e9, 0.0))
    local_s = 2e-4 + 5e-4 + 0.029
    assert Costs(tables, [many]).forecast(quick).stages(0).rate == pytest.approx(8 / local_s)


def test_a_split_takes_all_stages_one_after_another(tables: Tables) -> None:
    """NS(n, p, q): prefix + encoding + transfer + RTT + decoding + suffix, with one request under way."""
    foreseen = foresee(tables, Plan("split", 4, *MAPS[:2]))
    device_s, server_s = 0.0118 + 4 * 2e-4 + 5e-4, 0.003 + 4 * 2e-4 + 5e-4
    alone_s = device_s + (4 * 1200 + 200) / BANDWIDTH + ROUND_TRIP_S + server_s + REPLY_S
    assert foreseen.latency_s == pytest.approx(alone_s)
    assert foreseen.rate == pytest.approx(4 / alone_s)
    assert foreseen.plan.in_flight == 1


def test_a_pipelined_split_takes_its_slowest_stage(tables: Tables) -> None:
    """NS-PIPE(n, p, q): max(prefix + encoding, transfer, decoding + suffix), as late as a lone one."""
    foreseen = foresee(tables, Plan("split-pipeline", 4, *MAPS[:2]))
    assert foreseen.rate == pytest.approx(4 / ((4 * 1200 + 200) / BANDWIDTH))
    assert foreseen.latency_s == pytest.approx(foresee(tables, Plan("split", 4, *MAPS[:2])).latency_s)


def test_a_hybrid_adds_what_the_idle_device_computes(tables: Tables) -> None:
    """HYBRID: the pipeline's rate, and the device's own for the share of time that the pipeline leaves it."""
    pipeline = foresee(tables, Plan("split-pipeline", 4, *MAPS[:2]))
    hybrid = foresee(tables, Plan("hybrid", 4, *MAPS[:2], local=1))
    idle = 1 - pipeline.device_s / pipeline.link_s
    assert hybrid.rate == pytest.approx(pipeline.rate + idle / 0.005)
    assert hybrid.latency_s == pytest.approx(pipeline.latency_s + 0.005)


def test_enough_requests_are_under_way_to_keep_the_busiest_stage_busy(tables: Tables) -> None:
    """As many as fit into a lone request's time, and one more; no more than a server takes at a time."""
    foreseen = foresee(tables, Plan("split-pipeline", 4, *MAPS[:2]))
    assert foreseen.plan.in_flight == math.ceil(foreseen.latency_s / foreseen.link_s) + 1
    far = State(0, math.inf, math.inf, LinkView(BANDWIDTH, 5.0))
    capped = Costs(tables, [foreseen.plan]).forecast(far).stages(0)
    assert capped.plan.in_flight == MOST_IN_FLIGHT
    assert capped.rate == pytest.approx(MOST_IN_FLIGHT * 4 / capped.latency_s)


def test_an_overload_waits_for_all_that_is_under_way(tables: Tables) -> None:
    """A full pipeline answers each request after as many periods as it has requests, once a batch has come."""
    plan = Plan("split-pipeline", 4, *MAPS[:2])
    state = State(0, 100.0, math.inf, LinkView(BANDWIDTH, ROUND_TRIP_S))
    forecast = Costs(tables, [plan]).forecast(state)
    foreseen = forecast.stages(0)
    assert forecast.full_latency_s[0] == pytest.approx(foreseen.plan.in_flight * foreseen.link_s + 4 / 100)


def test_factors_lengthen_each_side_s_times(tables: Tables) -> None:
    """The device's its own part and encoding, the server's its own, the link's none."""
    plan = Plan("split", 4, *MAPS[:2])
    as_measured, slowed = foresee(tables, plan), foresee(tables, plan, device_factor=3.0, server_factor=2.0)
    assert slowed.device_s == pytest.approx(3 * as_measured.device_s)
    assert slowed.server_s == pytest.approx(2 * as_measured.server_s)
    assert slowed.link_s == as_measured.link_s


def test_without_a_link_only_local_plans_are_possible(tables: Tables) -> None:
    """Whatever the link was like before."""
    plans = candidates(tables, 0.01)
    state = State(0, math.inf, math.inf, LinkView(BANDWIDTH, ROUND_TRIP_S, reachable=False))
    possible = Costs(tables, plans).forecast(state).possible
    assert [plan for plan, can in zip(plans, possible, strict=True) if can] == [p for p in plans if not p.sends]


def test_no_candidate_loses_more_than_allowed(tables: Tables) -> None:
    """A stricter limit sends finer levels, and none at all where every loss may be above it by its standard error."""
    for most_loss in (0.0, 0.005, 0.02, 0.06):
        sending = [plan for plan in candidates(tables, most_loss) if plan.sends]
        assert all(tables.site(plan.cut).level(plan.level).within(most_loss) for plan in sending)
    assert {plan.level for plan in candidates(tables, 0.002) if plan.sends} == {"ff q40", "ff q70", "jpeg q75"}
    assert {plan.level for plan in candidates(tables, 0.06) if plan.sends} == {"ff q10", "jpeg q10"}
    assert not [plan for plan in candidates(tables, 0.0) if plan.sends]


def test_only_levels_that_no_other_beats_are_useful(tables: Tables) -> None:
    """Of those within the loss the smallest, as all encode alike; the uncompressed ones are the baselines'."""
    assert [level.name for level in useful_levels(tables.site(""), 0.06)] == ["jpeg q10"]
    assert [level.name for level in useful_levels(tables.site(""), 0.01)] == ["jpeg q30"]
    assert useful_levels(tables.site("early"), 0.0005) == []


def test_no_candidate_asks_more_of_the_server_than_it_takes(tables: Tables) -> None:
    """A batch beyond the server's largest would be refused."""
    small = msgspec.structs.replace(tables, largest_batch=4)
    assert max(plan.batch for plan in candidates(small, 0.01) if plan.sends) == 4


def test_a_negative_loss_is_refused(tables: Tables) -> None:
    """Nothing gains from packing."""
    with pytest.raises(ArgumentError, match=r"most_loss: -0\.1 is below 0"):
        candidates(tables, -0.1)
