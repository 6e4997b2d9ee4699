"""``edge-runtime evaluate``: the options of every system, and the attention system's report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edge_runtime.cli_amot import AMOT_WITHIN, add_amot_options, evaluate_amot
from edge_runtime.cli_bps import add_bps_options, evaluate_bps
from edge_runtime.cli_family import FAMILY_OPTIONS, add_slimmable_options
from edge_runtime.cli_options import (
    Meant,
    add_system_options,
    command,
    deadline_s,
    load,
    measured_link,
    refuse_foreign,
)
from edge_runtime.cli_rounds import AMOT_OPTIONS, add_planner_options
from edge_runtime.cli_slimmable import add_grid_options, evaluate_slimmable
from edge_runtime.cli_split import evaluate_split
from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from edge_runtime.evaluation.evaluate import Setup

WITHIN, MOST_COST = 0.005, 0.32
# As in `cli_options`, of this command's own options.
MEANT_FOR: tuple[Meant, ...] = (
    (("attention",), ("most_cost",)),
    (("split",), ("cut", "budget", "bandwidth")),
    (
        ("bps",),
        (
            *("tables", "most_loss", "arrivals", "slower", "late"),
            *("against", "perfetto", "simulated"),
        ),
    ),
    (("bps", "slimmable"), ("trace", "seconds", "seed")),
    (("amot",), ("processes",)),
    (("amot", "slimmable"), ("rivals",)),
    (("slimmable",), ("grid", "fractional", "split")),
    (("split", "bps", "slimmable"), ("picture",)),
    (("attention", "amot"), ("within",)),
    (("attention", "split", "amot"), ("sweep",)),
    (("attention", "split", "amot", "slimmable"), ("link",)),
)


def add_evaluate(commands: Any) -> None:
    """Declare the command."""
    evaluate = command(commands, "evaluate", _run, "measure a system on labelled photos, beside its rivals")
    evaluate.add_argument("--system", choices=tuple(EVALUATIONS), default="attention")
    evaluate.add_argument("--data", type=Path, help="folder or tar file, <class>/<photo> or a CSV table")
    evaluate.add_argument("--limit", type=int, help="an even sample of so many photos")
    evaluate.add_argument("--every", type=int, default=1, help="every n-th photo (12: the zoo's held-out part)")
    evaluate.add_argument("--sweep", type=Path, metavar="DIR", help="all settings and rivals: CSV and PNG")
    evaluate.add_argument(
        "--within", type=float, help=f"--sweep: accepted loss against the server ({WITHIN}, amot {AMOT_WITHIN})"
    )
    evaluate.add_argument("--most-cost", type=float, help=f"--sweep: largest cost to recommend ({MOST_COST})")
    split = evaluate.add_argument_group("--system split")
    split.add_argument("--cut", action="append", default=[], help="may be repeated (default: every cut of the bundle)")
    split.add_argument("--budget", type=int, metavar="BYTES", help="of a feature map, instead of --quality")
    split.add_argument("--bandwidth", metavar="RATE[/RTT]", help="budget each map for this link, by --deadline")
    split.add_argument("--picture", type=Path, metavar="PNG", help="draw what they do (also bps, slimmable)")
    add_planner_options(evaluate)
    add_amot_options(evaluate)
    add_bps_options(evaluate.add_argument_group("--system bps"))
    add_slimmable_options(evaluate)
    add_grid_options(evaluate)
    add_system_options(evaluate)


def _run(options: argparse.Namespace) -> None:
    refuse_foreign(options, (*MEANT_FOR, AMOT_OPTIONS, FAMILY_OPTIONS))
    if options.data is None and not options.simulated:
        raise ArgumentError("--data: none given; name a folder or tar file of labelled photos")
    EVALUATIONS[options.system](options)


def _evaluate_attention(options: argparse.Namespace) -> None:
    from edge_runtime.evaluation.evaluate import Setup, evaluate
    from edge_runtime.labelled_photos import labelled_photos

    bundle, edge, gate = load(options)
    photos = labelled_photos(options.data, bundle.manifest, every=options.every, limit=options.limit)
    with measured_link(options, bundle) as link:
        setup = Setup(photos, edge, link, gate, options.server_model, deadline_s(options))
        if options.sweep:
            _sweep(options, setup)
            return
        report = evaluate(setup)
    report = {"system": options.system, "gate": msgspec.to_builtins(gate), **report}
    if options.json:
        print(json.dumps(report))
        return
    _print_report(report)


def _sweep(options: argparse.Namespace, setup: Setup) -> None:
    from edge_runtime.evaluation.pictures import plot_plane
    from edge_runtime.evaluation.sweep import sweep, write_csv

    options.sweep.mkdir(parents=True, exist_ok=True)
    within = WITHIN if options.within is None else options.within
    most_cost = MOST_COST if options.most_cost is None else options.most_cost
    found = sweep(setup, within=within, most_cost=most_cost)
    write_csv(found.points, options.sweep / "sweep.csv")
    plot_plane(found.points, found.server_accuracy, found.edge_accuracy, options.sweep / "sweep.png")
    if options.json:
        print(json.dumps(found.as_json()))
        return
    print(f"{len(found.points)} points in {options.sweep / 'sweep.csv'}, drawn in {options.sweep / 'sweep.png'}")
    print(f"device alone {found.edge_accuracy:.2%}, server alone {found.server_accuracy:.2%}")
    if found.recommended is None:
        print(f"no selection is within {within:.2%} of the server at cost {most_cost:g} or less")
        return
    best = found.recommended
    print(
        f"recommended: {best.sending}, {best.uncertainty} η = {best.eta:g}: accuracy {best.accuracy:.2%}, "
        f"cost {best.cost:.3f}, {best.wire_bytes:.0f} bytes on the wire per photo"
    )


def _print_report(report: dict[str, Any]) -> None:
    low, high = report["accuracy_interval"]
    print(f"{report['photos']} photos, {report['system']} with {report['gate']}")
    print(f"accuracy {report['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})")
    print(f"device alone {report['edge_accuracy']:.2%}, server alone {report['server_accuracy']:.2%}")
    print(f"answered on the device {report['share_local']:.1%}, fallbacks {report['fallbacks']}")
    print(f"{report['patches_per_sent_photo']:.1f} patches per sent photo, cost {report['cost']:.4f}")
    ratio = report["wire_bytes"] / report["jpeg_wire_bytes"]
    print(f"per photo {report['payload_bytes']:.0f} payload bytes, {report['wire_bytes']:.0f} on the wire,")
    print(f"  {ratio:.3f} × every photo as JPEG of the same quality ({report['jpeg_wire_bytes']:.0f})")
    print("latency, ms: p50 / p95")
    for stage, taken in report["latency_ms"].items():
        print(f"  {stage:15} {taken['p50']:8.2f} {taken['p95']:8.2f}")
    print("rivals: accuracy, bytes on the wire per photo, share answered on the device")
    _print_points(report["rivals"])


def _print_points(points: Iterable[dict[str, Any]]) -> None:
    for point in points:
        gate = f"gate + {point['sending']}" if point["uncertainty"] else point["sending"]
        print(f"  {gate:18} {point['accuracy']:7.2%} {point['wire_bytes']:8.0f} {point['share_local']:7.1%}")


EVALUATIONS = {
    "attention": _evaluate_attention,
    "split": evaluate_split,
    "bps": evaluate_bps,
    "amot": evaluate_amot,
    "slimmable": evaluate_slimmable,
}
