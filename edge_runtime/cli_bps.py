"""``edge-runtime evaluate --system bps``: its options, and its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli_options import deadline_s, execution, tls
from edge_runtime.cli_schedule import add_tables_options, load_tables, most_loss
from edge_runtime.errors import ArgumentError
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from edge_runtime.evaluation.bps import Run, Scenario
    from edge_runtime.scheduling.state import Policy
    from edge_runtime.scheduling.tables import Tables

TRACE, ARRIVALS, SECONDS = "5mbit/20ms", "saturating", 10.0


def add_bps_options(group: argparse._ArgumentGroup) -> None:
    """Declare what only the scheduler's evaluation knows."""
    add_tables_options(group)
    group.add_argument("--trace", help="the link: 5mbit/20ms, 20mbit@0,1mbit@5/20ms, walk:…, markov:…, FILE.csv/20ms")
    group.add_argument("--arrivals", help="steady:30, poisson:30, bursts:30x16 or saturating (default)")
    group.add_argument("--seconds", type=float, help=f"of each run ({SECONDS:g})")
    group.add_argument("--slower", type=int, help="the device does all its work so many times (1)")
    group.add_argument("--late", choices=("drop", "local"), help="frames past their deadline (drop)")
    group.add_argument("--against", nargs="*", metavar="NAME", help="baselines, or bps-learned, to run beside it (all)")
    group.add_argument("--simulated", action="store_true", help="in virtual time, from the tables")
    group.add_argument("--seed", type=int, help="of traces and arrivals that are made up (0)")
    group.add_argument("--perfetto", type=Path, metavar="JSON", help="every stage as a trace event, of the first run")


def evaluate_bps(options: argparse.Namespace) -> None:
    """Run the scheduler and its rivals; print a table or JSON, and write the pictures asked for."""
    from edge_runtime.evaluation.bps_pictures import plot
    from edge_runtime.scheduling.timeline import write_trace

    for name in ("picture", "perfetto"):
        path = getattr(options, name)
        if path is not None and not path.parent.is_dir():
            raise ArgumentError(f"--{name}: {path.parent} is no folder, make it first")
    tables = load_tables(options)
    scenario = _scenario(options)
    policies = _policies(options, tables.slowed(scenario.repeat))
    runs = _simulate(scenario, policies, tables) if options.simulated else _run(options, scenario, policies, tables)
    if options.picture:
        plot(runs, scenario.trace, options.picture)
    if options.perfetto:
        write_trace(runs[0].timeline, options.perfetto)
    if options.json:
        print(json.dumps({"system": "bps", "simulated": options.simulated, "runs": [run.as_json() for run in runs]}))
        return
    _print(runs)


def _scenario(options: argparse.Namespace) -> Scenario:
    from edge_runtime.evaluation.bps import Scenario
    from edge_runtime.evaluation.trace_syntax import parse_arrivals, parse_trace

    seconds = SECONDS if options.seconds is None else options.seconds
    slower = 1 if options.slower is None else options.slower
    if seconds <= 0:
        raise ArgumentError(f"--seconds: {seconds} is not above 0")
    if slower < 1:
        raise ArgumentError(f"--slower: {slower} is less than 1")
    seed = options.seed or 0
    return Scenario(
        trace=parse_trace(options.trace or TRACE, seconds, seed),
        arrivals=parse_arrivals(options.arrivals or ARRIVALS, seconds, seed),
        duration_s=seconds,
        deadline_s=deadline_s(options),
        repeat=slower,
        late=options.late or "drop",
    )


def _policies(options: argparse.Namespace, tables: Tables) -> list[Policy]:
    from edge_runtime.scheduling.baselines import baselines
    from edge_runtime.scheduling.learned import LearnedPolicy
    from edge_runtime.scheduling.planner import Planner

    loss = most_loss(options)
    bundle = Bundle.load(options.bundle)
    found = list(baselines(tables, loss))
    if bundle.manifest.policy is not None:
        found.insert(0, LearnedPolicy(bundle.read(bundle.manifest.policy), tables, loss))
    rivals = {policy.name: policy for policy in found}
    wanted = list(rivals) if options.against is None else options.against
    for name in wanted:
        if name not in rivals:
            raise ArgumentError(f"--against: {name!r} is not among the rivals; there are {', '.join(rivals)}")
    return [Planner.of(tables, loss), *(rivals[name] for name in wanted)]


def _simulate(scenario: Scenario, policies: Sequence[Policy], tables: Tables) -> list[Run]:
    from edge_runtime.evaluation.bps import simulated

    return [simulated(scenario, policy, tables) for policy in policies]


def _run(options: argparse.Namespace, scenario: Scenario, policies: Sequence[Policy], tables: Tables) -> list[Run]:
    from contextlib import nullcontext

    from edge_runtime.evaluation.bps import Shots, run
    from edge_runtime.evaluation.link import open_link, serving
    from edge_runtime.labelled_photos import labelled_photos
    from edge_runtime.scheduling.device import Device

    bundle = Bundle.load(options.bundle)
    photos = labelled_photos(options.data, bundle.manifest, every=options.every, limit=options.limit)
    shots = Shots(photos, bundle.frame)
    device = Device(bundle, tables.network, execution(options))
    there = nullcontext(options.server) if options.server else serving(bundle.folder)
    runs = []
    with there as address:
        for policy in policies:
            with open_link(bundle, address, tls=tls(options)) as link:
                runs.append(run(scenario, policy, tables.slowed(scenario.repeat), device, link, shots))
    return runs


def _print(runs: Sequence[Run]) -> None:
    width = max(len(run.policy) for run in runs)
    print(f"{'':{width}}  in time/s   × bps   p50 ms   p95 ms  bytes/answer  dropped  accuracy  mostly")
    for run in runs:
        print(f"{run.policy:{width}}  {_cells(run.as_json(), runs[0].timeline.rate())}")


def _cells(found: dict[str, Any], first_rate: float) -> str:
    latency = found["latency_ms"]
    ratio = found["rate"] / first_rate if first_rate else float("nan")
    gone = sum(found["fates"].get(fate, 0) for fate in ("dropped", "refused"))
    accuracy = f"{found['accuracy']:8.1%}" if "accuracy" in found else "       -"
    times = " ".join(f"{latency[key]:8.1f}" if latency[key] is not None else "       -" for key in ("p50", "p95"))
    sent = f"{found['sent_bytes_per_answer'] or 0:12.0f}"
    mostly = next(iter(found["plans"]), "-")
    return f"{found['rate']:9.1f} {ratio:7.2f} {times}  {sent}  {gone:7}  {accuracy}  {mostly}"
