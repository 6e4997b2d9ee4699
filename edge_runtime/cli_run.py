"""``edge-runtime run``: answers photos, and draws what was sent for one."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli_family import FAMILY_OPTIONS, add_slimmable_options, family_of, slimmable_for
from edge_runtime.cli_options import (
    add_system_options,
    command,
    deadline_s,
    load,
    measured_link,
    refuse,
    refuse_foreign,
)
from edge_runtime.cli_rounds import AMOT_OPTIONS, add_planner_options, amot_for
from edge_runtime.errors import ArgumentError, BundleError, ModelError
from edge_runtime.messages import Frame
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.messages import Answer, Reply, Request
    from edge_runtime.systems import System

    Conversation = list[tuple[Request, Reply]]
    Draw = Callable[[Frame, Answer, Conversation], None]


def add_run(commands: Any) -> None:
    """Declare the command."""
    run = command(commands, "run", _run, "answer photos")
    run.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    run.add_argument("--system", choices=tuple(RUNS), default="attention")
    run.add_argument("--picture", type=Path, metavar="PNG", help="draw what was sent and why (one photo only)")
    add_planner_options(run)
    add_slimmable_options(run)
    add_system_options(run)


def described(bundle: Bundle, photo: str, answer: Answer) -> dict[str, Any]:
    """An answer as plain values."""
    return {
        "photo": photo,
        "label": bundle.classes[answer.label],
        "probability": float(answer.probabilities[answer.label]),
        "decided_by": answer.decided_by,
        "min_entropy": answer.min_entropy,
        "patches_sent": answer.patches_sent,
        "payload_bytes": answer.payload_bytes,
        "rounds": answer.rounds,
        "mode": answer.mode._asdict() if answer.mode else None,
        "note": answer.note,
        "timings_ms": dict(answer.timings_ms),
    }


def line(answer: dict[str, Any]) -> str:
    """The same in one line."""
    stages = ", ".join(f"{stage} {taken:.1f}" for stage, taken in answer["timings_ms"].items())
    note = f" ({answer['note']})" if answer["note"] else ""
    mode = answer["mode"]
    sent = f"{mode['encoders']} encoders, {mode['levels']} levels" if mode else f"{answer['patches_sent']} patches"
    return (
        f"{answer['photo']}: {answer['label']} {answer['probability']:.0%}, decided by {answer['decided_by']}{note}, "
        f"min-entropy {answer['min_entropy']:.2f} bits, {sent}, {answer['payload_bytes']} bytes, ms: {stages}"
    )


def _run(options: argparse.Namespace) -> None:
    refuse_foreign(options, [AMOT_OPTIONS, FAMILY_OPTIONS])
    if options.picture and len(options.photos) > 1:
        raise ArgumentError(f"--picture: draws one photo, {len(options.photos)} were given")
    RUNS[options.system](options)


def _run_attention(options: argparse.Namespace) -> None:
    from edge_runtime.evaluation import demo
    from edge_runtime.systems.attention import Attention

    bundle, edge, gate = load(options)

    def draw(frame: Frame, _answer: Answer, _conversation: Conversation) -> None:
        demo.picture(edge, gate, frame.pixels).save(options.picture)

    with measured_link(options, bundle) as link:
        _answer_all(options, bundle, Attention(edge, gate, options.server_model), link, draw)


def _run_amot(options: argparse.Namespace) -> None:
    from edge_runtime.evaluation.amot_panels import draw_rounds, open_recovery

    bundle = Bundle.load(options.bundle)
    system_for = amot_for(options, bundle)

    def draw(_frame: Frame, answer: Answer, conversation: Conversation) -> None:
        try:
            recover = open_recovery(bundle)
        except (BundleError, ModelError) as error:
            print(f"--picture: what the server recovered is not in it: {error}", file=sys.stderr)
            recover = None
        draw_rounds(conversation, answer, bundle, recover, options.picture)

    with measured_link(options, bundle) as link:
        _answer_all(options, bundle, system_for(link.client), link, draw)


def _run_slimmable(options: argparse.Namespace) -> None:
    refuse(options, ["picture"], "goes with --system attention or amot, not slimmable")
    bundle = Bundle.load(options.bundle)
    system_for = slimmable_for(options, family_of(options, bundle))
    with measured_link(options, bundle, patient=True) as link:
        _answer_all(options, bundle, system_for(link.client), link)


def _answer_all(
    options: argparse.Namespace, bundle: Bundle, system: System, link: MeasuredLink, draw: Draw | None = None
) -> None:
    from edge_runtime.photos import open_frame
    from edge_runtime.systems.driver import drive

    for number, path in enumerate(options.photos):
        pixels = open_frame(path, bundle.frame)
        conversation: Conversation = []

        def call(request: Request, timeout_s: float, noted: Conversation = conversation) -> Reply:
            reply = link.call(request, timeout_s)
            noted.append((request, reply))
            return reply

        frame = Frame(number, pixels, time.monotonic() + deadline_s(options))
        answer = drive(system.infer(frame), call, frame.deadline_s)
        found = described(bundle, str(path), answer)
        print(json.dumps(found) if options.json else line(found), flush=True)
        if options.picture and draw:
            draw(frame, answer, conversation)


RUNS = {"attention": _run_attention, "amot": _run_amot, "slimmable": _run_slimmable}
