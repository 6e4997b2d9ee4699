"""``edge-runtime evaluate --system split``: its checks, and its report."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from edge_runtime.cli_options import deadline_s, execution, measured_link
from edge_runtime.errors import ArgumentError
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from edge_runtime.evaluation.split import Cut, Outcome, Size
    from edge_runtime.systems.split import LinkState

SWEPT_QUALITIES = range(10, 101, 10)


def evaluate_split(options: argparse.Namespace) -> None:
    """Measure cuts and rivals; print a table or JSON, and write the pictures asked for."""
    from edge_runtime.evaluation.split import SplitSetup, evaluate
    from edge_runtime.labelled_photos import labelled_photos

    sizes = _sizes(options)
    if options.picture and not options.picture.parent.is_dir():
        raise ArgumentError(f"--picture: {options.picture.parent} is no folder, make it first")
    bundle = Bundle.load(options.bundle)
    cuts = _cuts(options, bundle)
    photos = labelled_photos(options.data, bundle.manifest, every=options.every, limit=options.limit)
    with measured_link(options, bundle) as link:
        outcomes = evaluate(SplitSetup(photos, cuts, link, deadline_s(options)), sizes)
    _draw(options, outcomes)
    if options.json:
        rows = [asdict(outcome) for outcome in outcomes]
        print(json.dumps({"system": "split", "photos": len(photos), "outcomes": rows}))
        return
    _print_table(outcomes)


def _sizes(options: argparse.Namespace) -> list[Size]:
    from edge_runtime.evaluation.split import Size

    given = [name for name in ("quality", "budget", "bandwidth") if getattr(options, name) is not None]
    if options.sweep:
        if given or options.picture:
            raise ArgumentError(f"--{(given or ['picture'])[0]}: --sweep tries every quality and draws its own picture")
        return [Size(quality=quality) for quality in SWEPT_QUALITIES]
    if len(given) != 1:
        raise ArgumentError(f"--quality, --budget, --bandwidth: {len(given)} of them given, give one, or --sweep")
    if options.bandwidth is None:
        return [Size(quality=options.quality, budget=options.budget)]
    return [Size(link=_link_state(options))]


def _link_state(options: argparse.Namespace) -> LinkState:
    from edge_runtime.systems.split import LinkState
    from edge_runtime.transport.shaper import LinkShape

    if options.deadline is None:
        raise ArgumentError(f"--bandwidth: {options.bandwidth} makes a budget of a deadline only, give --deadline")
    shape = LinkShape.parse(options.bandwidth if "/" in options.bandwidth else f"{options.bandwidth}/0ms")
    return LinkState(shape.rate_bps / 8, 2 * shape.delay_s)


def _cuts(options: argparse.Namespace, bundle: Bundle) -> list[Cut]:
    from edge_runtime.evaluation.split import Cut

    specs = [bundle.split(cut) for cut in options.cut] or list(bundle.manifest.splits) or [bundle.split()]
    return [Cut.open(bundle, spec, execution(options)) for spec in specs]


def _draw(options: argparse.Namespace, outcomes: Sequence[Outcome]) -> None:
    from edge_runtime.evaluation import split_pictures
    from edge_runtime.evaluation.split import write_csv

    if options.picture:
        split_pictures.plot_stages(outcomes, options.picture)
    if options.sweep:
        options.sweep.mkdir(parents=True, exist_ok=True)
        write_csv(outcomes, options.sweep / "sweep.csv")
        split_pictures.plot_rates(outcomes, options.sweep / "sweep.png")


def _print_table(outcomes: Sequence[Outcome]) -> None:
    width = max(len(outcome.name) for outcome in outcomes)
    print(f"{outcomes[0].photos} photos; bytes are means per photo, milliseconds medians (total also 95th percentile)")
    heads = "accuracy  95 % interval   loss  payload     wire  device    link  server   total     p95"
    print(f"{'':{width}} {heads}")
    for outcome in outcomes:
        print(f"{outcome.name:{width}} {_cells(outcome)}")


def _cells(outcome: Outcome) -> str:
    low, high = outcome.accuracy_interval
    figures = f"{outcome.accuracy:8.1%} {low:6.1%} to {high:6.1%} {outcome.loss:+6.1%}"
    sizes = f"{outcome.payload_bytes:8.0f} {outcome.wire_bytes:8.0f}"
    if not outcome.latency_ms:
        return f"{figures} {sizes}  no photo was answered in time"
    medians = " ".join(f"{outcome.latency_ms[side]['p50']:7.1f}" for side in ("device", "link", "server", "total"))
    late = f"  {outcome.unanswered} not answered in time" if outcome.unanswered else ""
    return f"{figures} {sizes} {medians} {outcome.latency_ms['total']['p95']:7.1f}{late}"
