"""``edge-runtime modes``: says in which mode slimmable encoders would send a frame, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from edge_runtime.cli_family import add_family_options, family_of, modes_of
from edge_runtime.cli_options import add_model_options, command, milliseconds
from edge_runtime.models import Bundle
from edge_runtime.transport.shaper import LinkShape

if TYPE_CHECKING:
    import argparse

    from edge_runtime.control.mode_choice import Expected, Explanation
    from edge_runtime.control.modes import ModeFigures

REASONS = {
    "device": "encoders that take no time would allow a better one",
    "link": "a link that takes no time would allow a better one",
    "deadline": "with more time there would be a better one",
}


def add_modes(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "modes", _modes, "say in which mode slimmable encoders would send a frame")
    parser.add_argument("--explain", action="store_true", help="also what binds, and every mode with its times")
    parser.add_argument("--deadline", type=milliseconds, required=True, metavar="MS", help="300 or 300ms")
    parser.add_argument("--bandwidth", required=True, metavar="RATE/RTT", help="of the link: 1mbit/20ms")
    add_family_options(parser)
    add_model_options(parser)


def _modes(options: argparse.Namespace) -> None:
    from edge_runtime.control.mode_choice import Conditions, explain

    shape = LinkShape.parse(options.bandwidth)
    family = family_of(options, Bundle.load(options.bundle))
    conditions = Conditions(
        encode_s=family.encoders.warm_up(),
        bandwidth=shape.rate_bps / 8,
        round_trip_s=2 * shape.delay_s,
        server_s=family.table.server_ms / 1e3,
    )
    found = explain(modes_of(options, family), conditions, options.deadline / 1e3)
    if options.json:
        print(json.dumps(_explanation(found) if options.explain else _described(*_chosen(found))))
    elif options.explain:
        print(_explained(found, options.deadline))
    else:
        print(_name(found.chosen))


def _chosen(found: Explanation) -> tuple[ModeFigures, Expected]:
    return next(row for row in found.modes if row[0] == found.chosen)


def _explanation(found: Explanation) -> dict[str, Any]:
    return {
        "chosen": _described(*_chosen(found)),
        "fits": found.fits,
        "binds": found.binds,
        "modes": [_described(*row) for row in found.modes],
    }


def _described(one: ModeFigures, expected: Expected) -> dict[str, Any]:
    """A mode and its times as plain values."""
    times = expected._asdict() | {"total_s": expected.total_s}
    return {
        "members": one.encoders,
        "bits": one.bits,
        "accuracy": one.accuracy,
        "bytes": msgspec.to_builtins(one.bytes),
        "times_ms": {name.removesuffix("_s"): round(taken_s * 1e3, 3) for name, taken_s in times.items()},
    }


def _explained(found: Explanation, deadline_ms: float) -> str:
    from edge_runtime.control.mode_choice import FACTOR

    _, expected = _chosen(found)
    why = "the most accurate in time" if found.fits else "none is in time, this is the cheapest"
    lines = [f"{_name(found.chosen)}: {why}, {_times(expected)} of {FACTOR * deadline_ms:.1f} allowed"]
    lines += [f"  what binds: {limit} ({REASONS[limit]})" for limit in found.binds]
    lines.append("members, bits: accuracy; most bytes; ms")
    for one, times in found.modes:
        is_late = "" if times.total_s * 1e3 < FACTOR * deadline_ms else ", late"
        lines.append(
            f"  {one.encoders} {one.bits:4g}: {one.accuracy:6.1%}; {one.bytes.most:6.0f}; {_times(times)}{is_late}"
        )
    return "\n".join(lines)


def _times(expected: Expected) -> str:
    parts = ", ".join(f"{name.removesuffix('_s')} {taken_s * 1e3:.1f}" for name, taken_s in expected._asdict().items())
    return f"{expected.total_s * 1e3:.1f} ms ({parts})"


def _name(one: ModeFigures) -> str:
    return f"{_count(one.encoders, 'encoder')}, {_count(one.bits, 'bit')} ({one.levels} levels)"


def _count(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"
