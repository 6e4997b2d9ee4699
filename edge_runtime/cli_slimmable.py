"""``edge-runtime evaluate --system slimmable``: its own options, its grid and its reports."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli_family import family_of, slimmable_for
from edge_runtime.cli_options import deadline_s, execution, measured_link, refuse
from edge_runtime.errors import ArgumentError
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.evaluation.slimmable_grid import ModeOutcome, Rival
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.systems.family import Family

SECONDS = 10.0


def add_grid_options(parser: argparse.ArgumentParser) -> None:
    """Declare what only an evaluation of the system takes."""
    group = parser.add_argument_group("--system slimmable --grid")
    group.add_argument("--grid", action="store_true", help="every number of members with 1, 2, 3 and 4 bits")
    group.add_argument("--fractional", action="store_true", help="and with half bits")
    group.add_argument("--split", type=Path, metavar="BUNDLE", help="with --rivals: and the cuts of this bundle")


def evaluate_slimmable(options: argparse.Namespace) -> None:
    """Measure the modes of a family, or how they are chosen; print text or JSON, and draw the picture asked for."""
    from edge_runtime.labelled_photos import labelled_photos

    _check(options)
    bundle = Bundle.load(options.bundle)
    family = family_of(options, bundle)
    photos = labelled_photos(options.data, bundle.manifest, every=options.every, limit=options.limit)
    way = _grid if options.grid else _over_trace if options.trace else _in_a_row
    way(options, bundle, family, photos)


def _check(options: argparse.Namespace) -> None:
    """Raise ArgumentError for options that do not go together."""
    if options.picture and not options.picture.parent.is_dir():
        raise ArgumentError(f"--picture: {options.picture.parent} is no folder, make it first")
    if options.grid:
        chosen = ("members", "bits", "estimate", "whole_bits", "deadline", "trace", "seconds", "seed")
        refuse(options, chosen, "--grid tries every mode, in no hurry")
        if options.split and not options.rivals:
            raise ArgumentError("--split: its cuts are rivals, give --rivals as well")
        if isinstance(options.rivals, Path):
            raise ArgumentError(f"--rivals: {options.rivals} was given, --system slimmable takes --split BUNDLE for it")
        return
    refuse(options, ("fractional", "rivals", "split"), "goes with --grid")
    if options.trace:
        refuse(options, ("link",), "--trace shapes the link")
        if not options.deadline:
            raise ArgumentError("--trace: photos come at the rate of their deadlines, give a --deadline above 0")
    else:
        refuse(options, ("seconds", "seed"), "goes with --trace")
        refuse(options, ("picture",), "goes with --trace or --grid")


def _in_a_row(options: argparse.Namespace, bundle: Bundle, family: Family, photos: Sequence[Photo]) -> None:
    from edge_runtime.evaluation.slimmable import ask_in_a_row
    from edge_runtime.evaluation.slimmable_grid import teacher_accuracy
    from edge_runtime.transport.shaper import LinkShape

    system_for = slimmable_for(options, family)
    with measured_link(options, bundle, patient=True) as link:
        run = ask_in_a_row(system_for(link.client), photos, link, deadline_s(options))
        link.reshape(LinkShape())
        link.client.describe()  # closes a breaker that the last lost call may have left open
        teacher = {"teacher_accuracy": teacher_accuracy(photos, bundle, link)}
    _print(options, family, run.report(family.codec) | teacher)


def _over_trace(options: argparse.Namespace, bundle: Bundle, family: Family, photos: Sequence[Photo]) -> None:
    from edge_runtime.evaluation.slimmable import ask_over_trace
    from edge_runtime.evaluation.slimmable_pictures import plot_trace
    from edge_runtime.evaluation.trace_syntax import parse_trace

    seconds = SECONDS if options.seconds is None else options.seconds
    if seconds <= 0:
        raise ArgumentError(f"--seconds: {seconds} is not above 0")
    trace = parse_trace(options.trace, seconds, options.seed or 0)
    system_for = slimmable_for(options, family)
    with measured_link(options, bundle, patient=True) as link:
        run = ask_over_trace(system_for(link.client), photos, link, trace, deadline_s(options), seconds)
    if options.picture:
        plot_trace(run, trace, deadline_s(options), options.picture)
    _print(options, family, run.report(family.codec))


def _print(options: argparse.Namespace, family: Family, report: dict[str, Any]) -> None:
    report = {"system": "slimmable", "family": family.spec.name, **report}
    print(json.dumps(report) if options.json else _text(report))


def _text(report: dict[str, Any]) -> str:
    low, high = report["accuracy_interval"]
    lines = [
        f"{report['photos']} photos, {report['family']}",
        f"accuracy {report['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})",
        f"answered in time {report['slo_hit']:.1%}, unanswered {report['unanswered']}",
        f"per answer {report['payload_bytes']:.0f} payload bytes, {report['packed_bytes']:.0f} if packed",
        f"per photo {report['wire_bytes']:.0f} bytes on the wire",
        "modes: members, bits, share of all photos",
        *(f"  {mode['members']} {mode['bits']:4g} {mode['share']:7.1%}" for mode in report["modes"]),
        "latency, ms: p50 / p95",
    ]
    if "teacher_accuracy" in report:
        lines.insert(2, f"whole network, on lossless photos {report['teacher_accuracy']:.2%}")
    stages = report["latency_ms"].items()
    return "\n".join([*lines, *(f"  {stage:15} {taken['p50']:8.2f} {taken['p95']:8.2f}" for stage, taken in stages)])


def _grid(options: argparse.Namespace, bundle: Bundle, family: Family, photos: Sequence[Photo]) -> None:
    from edge_runtime.evaluation.slimmable_grid import measure_modes, teacher_accuracy
    from edge_runtime.evaluation.slimmable_pictures import plot_grid

    families = [family, *(_other_families(options, bundle, family) if options.rivals else ())]
    with measured_link(options, bundle) as link:
        teacher = teacher_accuracy(photos, bundle, link)
        found = {one.spec.name: measure_modes(photos, one, link, _levels(options, one)) for one in families}
        rivals = _rivals(options, bundle, photos, link) if options.rivals else []
    if options.picture:
        plot_grid(found, rivals, teacher, options.picture)
    if options.json:
        print(json.dumps(_grid_report(family.spec.name, len(photos), teacher, found, rivals)))
        return
    print(f"{len(photos)} photos; whole network, on lossless photos {teacher:.2%}")
    print(_grid_text(found, rivals))


def _levels(options: argparse.Namespace, family: Family) -> list[int]:
    """Those of whole bits, or of half bits too."""
    from edge_runtime.control.modes import BITS

    known = [levels for levels in family.codec.levels if levels in BITS]
    return [levels for levels in known if options.fractional or BITS[levels].is_integer()]


def _other_families(options: argparse.Namespace, bundle: Bundle, family: Family) -> list[Family]:
    from edge_runtime.systems.family import Family

    return [Family.open(bundle, spec, execution(options)) for spec in bundle.manifest.latents if spec != family.spec]


def _rivals(options: argparse.Namespace, bundle: Bundle, photos: Sequence[Photo], link: MeasuredLink) -> list[Rival]:
    from edge_runtime.evaluation.link import open_link
    from edge_runtime.evaluation.slimmable_grid import check_alike, cuts, whole_photos
    from edge_runtime.evaluation.split import Cut

    found = list(whole_photos(photos, bundle, link))
    if options.split:
        split = Bundle.load(options.split)
        check_alike(bundle, split)
        opened = [Cut.open(split, spec) for spec in split.manifest.splits or (split.split(),)]
        with open_link(split) as theirs:
            found += cuts(photos, opened, theirs)
    return found


def _grid_report(
    family: str, photos: int, teacher: float, found: Mapping[str, Sequence[ModeOutcome]], rivals: Sequence[Rival]
) -> dict[str, Any]:
    rows = {name: [asdict(outcome) for outcome in outcomes] for name, outcomes in found.items()}
    return {
        "system": "slimmable",
        "family": family,
        "photos": photos,
        "teacher_accuracy": teacher,
        "modes": rows.pop(family),
        "families": rows,
        "rivals": [asdict(rival) for rival in rivals],
    }


def _grid_text(found: Mapping[str, Sequence[ModeOutcome]], rivals: Sequence[Rival]) -> str:
    lines = []
    for name, outcomes in found.items():
        lines.append(
            f"{name}: members, bits; accuracy, 95 % interval; bytes of payload, packed, on the wire; encode, ms"
        )
        lines += [f"  {outcome.members} {outcome.bits:4g} {_cells(outcome)}" for outcome in outcomes]
    if rivals:
        lines.append("rivals: accuracy, 95 % interval; bytes of payload, on the wire")
        lines += [f"  {f'{rival.curve} {rival.setting}':28} {_accuracy(rival)} {_bytes(rival)}" for rival in rivals]
    return "\n".join(lines)


def _cells(outcome: ModeOutcome) -> str:
    sizes = f"{outcome.payload_bytes:7.0f} {outcome.packed_bytes:7} {outcome.wire_bytes:7.0f}"
    return f"{_accuracy(outcome)} {sizes} {outcome.encode_ms:7.2f}"


def _accuracy(point: ModeOutcome | Rival) -> str:
    low, high = point.accuracy_interval
    return f"{point.accuracy:7.2%} {low:6.1%} to {high:6.1%}"


def _bytes(rival: Rival) -> str:
    return f"{rival.payload_bytes:7.0f} {rival.wire_bytes:7.0f}"
