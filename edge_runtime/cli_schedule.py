"""``profile --for-scheduler`` and ``schedule``: measure the scheduler's tables, and say what it would do."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli_options import command, execution, measured_link
from edge_runtime.errors import ArgumentError
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    import argparse

    from edge_runtime.scheduling.forecast import Stages
    from edge_runtime.scheduling.planner import Explanation
    from edge_runtime.scheduling.tables import Tables

PHOTOS = 500
MOST_LOSS = 1.0


def add_tables_profile(parser: argparse.ArgumentParser) -> None:
    """Declare what measuring the tables needs beside models and link."""
    tables = parser.add_argument_group(
        "--for-scheduler",
        "measure this device, the server and the link between them, and write what the scheduler needs",
    )
    tables.add_argument("--data", type=Path, help="labelled photos that no result is reported on")
    tables.add_argument("--limit", type=int, help=f"an even sample of so many photos ({PHOTOS})")
    tables.add_argument("--every", type=int, help="every n-th photo (12: the zoo's held-out part)")
    tables.add_argument("--network", default="", help="default: that of the bundle's default cut")
    tables.add_argument("--retime", action="store_true", help="keep the bytes and losses that --out has already")


def add_schedule(commands: Any) -> None:
    """Declare the command."""
    schedule = command(commands, "schedule", _schedule, "say which plan the scheduler would choose")
    schedule.add_argument("--explain", action="store_true", help="also the plan's stages, and the next best plan")
    add_tables_options(schedule)
    schedule.add_argument("--bandwidth", metavar="RATE/RTT", help="default: the link as it was when profiled")
    schedule.add_argument("--no-link", action="store_true", help="as if no server were in reach")
    schedule.add_argument("--rate", type=float, default=math.inf, help="frames that come a second (default: no end)")
    schedule.add_argument("--queue", type=int, default=0, help="frames that wait already")
    schedule.add_argument("--deadline", type=float, default=math.inf, metavar="MS", help="that every frame has")
    schedule.add_argument("--device-factor", type=float, default=1.0, help="how much slower the device is by now")
    schedule.add_argument("--server-factor", type=float, default=1.0, help="how much slower the server is by now")


def add_tables_options(parser: argparse._ActionsContainer) -> None:
    """Declare what every use of the tables needs."""
    parser.add_argument("--tables", type=Path, help="default: tables.json in the bundle's folder")
    parser.add_argument("--most-loss", type=float, help=f"accepted loss of right answers, in points ({MOST_LOSS:g})")


def most_loss(options: argparse.Namespace) -> float:
    """The accepted loss as a share."""
    return (MOST_LOSS if options.most_loss is None else float(options.most_loss)) / 100


def load_tables(options: argparse.Namespace) -> Tables:
    """The tables that the options name, what they lack predicted; raises ArgumentError, also for another bundle's."""
    from edge_runtime.scheduling.bundle_tables import bundle_tables

    return bundle_tables(Bundle.load(options.bundle), options.tables)


def profile_for_scheduler(options: argparse.Namespace) -> None:
    """Measure the tables and write them to ``--out``, or into the bundle's folder."""
    from edge_runtime.labelled_photos import labelled_photos
    from edge_runtime.profiling.scheduler import measure, retime
    from edge_runtime.scheduling import tables
    from edge_runtime.scheduling.bundle_tables import TABLES
    from edge_runtime.scheduling.device import Device

    if options.data is None:
        raise ArgumentError("--data: --for-scheduler needs labelled photos, give a folder or a tar file")
    bundle = Bundle.load(options.bundle)
    every, limit = (
        default if given is None else given for given, default in ((options.every, 1), (options.limit, PHOTOS))
    )
    photos = labelled_photos(options.data, bundle.manifest, every=every, limit=limit)
    device = Device(bundle, options.network, execution(options))
    out = options.out or options.bundle / TABLES
    known = tables.load(out) if options.retime else None
    with measured_link(options, bundle) as link:
        if known is None:
            found = measure(bundle, device, link, photos, options.server or "on the same machine")
        else:
            found = retime(known, bundle, device, link, photos)
    tables.save(found, out)
    print(json.dumps({"tables": str(out), **_described(found)}) if options.json else _text(out, found))


def _described(found: Tables) -> dict[str, Any]:
    import msgspec

    return {"origin": msgspec.to_builtins(found.origin), "network": found.network, "sites": len(found.sites)}


def _text(out: Path, found: Tables) -> str:
    lines = [f"{found.network} on {found.origin.device}, {found.origin.runtime} {found.origin.precision}"]
    lines.append(f"{'':10} {'device ms':>10} {'server ms':>10}   fewest bytes within {MOST_LOSS:g} point")
    lines.append(f"{'whole':10} {found.local_s[1] * 1e3:10.2f} {'':10}   {found.local_loss:.2%} of right answers lost")
    for site in found.sites:
        good = [level for level in site.levels if level.within(MOST_LOSS / 100)]
        best = min(good, key=lambda level: level.payload_bytes, default=None)
        sent = f"{best.name}: {best.payload_bytes:.0f} bytes" if best else "none"
        before = site.device_s.get(1, 0.0) * 1e3
        lines.append(f"{site.cut or 'photos':10} {before:10.2f} {site.server_s[1] * 1e3:10.2f}   {sent}")
    lines.append(f"link: {found.bandwidth * 8 / 1e6:.1f} Mbit/s, round trip {found.round_trip_s * 1e3:.1f} ms")
    return "\n".join([*lines, f"written to {out}"])


def _schedule(options: argparse.Namespace) -> None:
    from edge_runtime.control.link_estimate import LinkView
    from edge_runtime.scheduling.planner import Planner
    from edge_runtime.scheduling.state import State
    from edge_runtime.transport.shaper import LinkShape

    tables = load_tables(options)
    bandwidth, round_trip_s = tables.bandwidth, tables.round_trip_s
    if options.bandwidth:
        shape = LinkShape.parse(options.bandwidth)
        bandwidth, round_trip_s = shape.rate_bps / 8, 2 * shape.delay_s
    for name in ("rate", "deadline", "device_factor", "server_factor"):
        if not getattr(options, name) > 0:
            raise ArgumentError(f"--{name.replace('_', '-')}: {getattr(options, name)} is not above 0")
    state = State(
        queue=options.queue,
        arrival_rate=options.rate,
        deadline_s=options.deadline / 1e3,
        link=LinkView(bandwidth, round_trip_s, reachable=not options.no_link),
        device_factor=options.device_factor,
        server_factor=options.server_factor,
    )
    explanation = Planner.of(tables, most_loss(options)).explain(state)
    if options.json:
        print(json.dumps(_as_json(explanation)))
    elif options.explain:
        print(_explained(explanation))
    else:
        print(explanation.chosen.plan.name)


def _as_json(explanation: Explanation) -> dict[str, Any]:
    found = asdict(explanation)
    if math.isinf(explanation.wanted_rate):
        found["wanted_rate"] = None  # JSON knows no infinity
    return found


def _explained(explanation: Explanation) -> str:
    chosen, runner_up = explanation.chosen, explanation.runner_up
    wanted = explanation.wanted_rate
    if explanation.keeps_up:
        reason = f"the quickest of the plans that keep up with {wanted:.1f} frames a second"
    else:
        reason = "answers most frames a second, for no plan keeps up"
    return "\n".join(
        [f"{chosen.plan.name}: {reason}", *_stages(chosen), f"next best: {runner_up.plan.name}", *_stages(runner_up)]
    )


def _stages(stages: Stages) -> list[str]:
    lanes = {"device": stages.device_s, "link": stages.link_s, "server": stages.server_s, "local run": stages.local_s}
    times = ", ".join(f"{lane} {taken * 1e3:.1f}" for lane, taken in lanes.items() if taken)
    lines = [f"  {stages.rate:.1f} frames a second, {stages.latency_s * 1e3:.1f} ms each", f"  ms a run: {times}"]
    if stages.plan.sends:
        lines.append(
            f"  {stages.payload_bytes:.0f} bytes a frame, {stages.plan.in_flight} requests under way, "
            f"{stages.loss * 100:+.2f} points lost"
        )
    return lines
