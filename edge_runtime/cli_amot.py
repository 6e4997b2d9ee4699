"""``edge-runtime evaluate --system amot``: its own options, its report, and its sweep."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli_options import deadline_s, measured_link, refuse
from edge_runtime.cli_rounds import amot_for, round_tables, rounds_spec
from edge_runtime.errors import ArgumentError
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from edge_runtime.evaluation.amot_sweep import Outcome, Sweep
    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo

AMOT_WITHIN = 0.015


def add_amot_options(parser: argparse.ArgumentParser) -> None:
    """Declare what only an evaluation of the system takes."""
    group = parser.add_argument_group("--system amot, --sweep")
    group.add_argument(
        "--rivals",
        type=Path,
        nargs="?",
        const=True,
        metavar="BUNDLE",
        help="with models that make do with some patches (--system slimmable --grid: whole photos, other families)",
    )
    group.add_argument("--processes", type=int, help="servers that share the work (1)")


def evaluate_amot(options: argparse.Namespace) -> None:
    """Measure one way of planning, or the whole plane; print text or JSON."""
    from edge_runtime.labelled_photos import labelled_photos

    bundle = Bundle.load(options.bundle)
    rounds_spec(bundle)
    if not options.sweep:
        refuse(options, ("rivals", "processes", "within"), "goes with --sweep")
    photos = labelled_photos(options.data, bundle.manifest, every=options.every, limit=options.limit)
    (_sweep if options.sweep else _evaluate)(options, bundle, photos)


def _evaluate(options: argparse.Namespace, bundle: Bundle, photos: Sequence[Photo]) -> None:
    from edge_runtime.evaluation.amot import evaluate

    system_for = amot_for(options, bundle)
    with measured_link(options, bundle) as link:
        report = {"system": "amot", **evaluate(system_for(link.client), photos, link, deadline_s(options))}
    print(json.dumps(report) if options.json else _text(report))


def _text(report: dict[str, Any]) -> str:
    low, high = report["accuracy_interval"]
    lines = [
        f"{report['photos']} photos",
        f"accuracy {report['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})",
        f"server alone, on whole photos {report['server_accuracy']:.2%}",
        f"sent {report['patches_share']:.1%} of the patches, second rounds {report['second_round_share']:.1%}",
        f"answered in time {report['slo_hit']:.1%}, second round failed {report['best_effort_share']:.1%}",
        f"rejected {report['rejected']}, unanswered {report['unanswered']}",
        f"per photo {report['payload_bytes']:.0f} payload bytes, {report['wire_bytes']:.0f} on the wire",
        "latency, ms: p50 / p95",
    ]
    stages = report["latency_ms"].items()
    return "\n".join([*lines, *(f"  {stage:15} {taken['p50']:8.2f} {taken['p95']:8.2f}" for stage, taken in stages)])


def _sweep(options: argparse.Namespace, bundle: Bundle, photos: Sequence[Photo]) -> None:
    from edge_runtime.evaluation.amot_pictures import plot_plane
    from edge_runtime.evaluation.amot_plane import ways
    from edge_runtime.evaluation.amot_sweep import Points, Sweep, measure, write_csv

    refuse(options, ("deadline", "link", "plan", "wanted", "price"), "--sweep tries plans of its own, in no hurry")
    if options.rivals is True:
        raise ArgumentError("--rivals: no bundle named, give one with models that make do with some patches")
    processes = 1 if options.processes is None else options.processes
    if processes < 1:
        raise ArgumentError(f"--processes: {processes} is less than 1")
    bundles = [bundle, *([Bundle.load(options.rivals)] if options.rivals else [])]
    tried = ways(bundle, rounds_spec(bundle), round_tables(bundle), *bundles[1:])
    options.sweep.mkdir(parents=True, exist_ok=True)
    points = Points(options.sweep / "points.jsonl", photos, bundles)
    outcomes = measure(tried, photos, bundle.frame, points, lambda: _links(options, bundles), processes)
    within = AMOT_WITHIN if options.within is None else options.within
    found = Sweep.of(outcomes, within)
    write_csv(outcomes, options.sweep / "sweep.csv")
    plot_plane(outcomes, within, options.sweep / "sweep.png")
    (options.sweep / "sweep.json").write_text(json.dumps(found.as_json(), indent=1) + "\n")
    print(json.dumps(found.as_json()) if options.json else _swept(found, within, options.sweep))


@contextmanager
def _links(options: argparse.Namespace, bundles: Sequence[Bundle]) -> Iterator[list[MeasuredLink]]:
    """Links to the server of each bundle, the rivals' always one of our own."""
    from edge_runtime.evaluation.link import open_link

    with ExitStack() as stack:
        own = stack.enter_context(measured_link(options, bundles[0]))
        yield [own, *(stack.enter_context(open_link(bundle)) for bundle in bundles[1:])]


def _swept(found: Sweep, within: float, folder: Path) -> str:
    lines = [f"{len(found.outcomes)} points in {folder / 'sweep.csv'}, drawn in {folder / 'sweep.png'}"]
    lines.append(f"server alone, on whole photos {found.server_accuracy:.2%}")
    if found.chosen is None:
        return "\n".join([*lines, f"A-MOT: no plan is within {within:.2%} of the server"])
    lines.append(f"cheapest A-MOT within {within:.2%} of that: {_cell(found.chosen)}")
    lines.append("cheapest of the others that are as accurate:")
    for curve, outcome in found.cheapest.items():
        share = f", {outcome.wire_bytes / found.chosen.wire_bytes:.2f} × A-MOT's" if outcome else ""
        lines.append(f"  {curve}: {_cell(outcome) + share if outcome else 'none'}")
    return "\n".join(lines)


def _cell(outcome: Outcome) -> str:
    return f"{outcome.setting}: {outcome.accuracy:.2%}, {outcome.wire_bytes:.0f} bytes on the wire"
