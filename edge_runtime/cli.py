"""``edge-runtime``: its commands. Errors are one line on stderr and exit code 2."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime import kernels
from edge_runtime.cli_codec import add_codec
from edge_runtime.cli_evaluate import add_evaluate
from edge_runtime.cli_options import add_system_options, command, deadline_s, load, measured_link
from edge_runtime.cli_schedule import add_schedule
from edge_runtime.cli_slo import add_slo
from edge_runtime.errors import ArgumentError, EdgeRuntimeError
from edge_runtime.messages import Frame
from edge_runtime.models import installed_runtimes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.messages import Answer
    from edge_runtime.models import Bundle


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        options.command(options)
    except EdgeRuntimeError as error:
        print(f"edge-runtime: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-runtime", description="A weak device and a server answer image questions together."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = command(commands, "demo", _demo, "answer a few photos with a server of its own and write an HTML page")
    demo.add_argument("--images", type=Path, nargs="*", default=[], help="photos or folders of photos")
    demo.add_argument("--out", type=Path, default=Path("demo.html"))
    add_system_options(demo)

    run = command(commands, "run", _run, "answer photos")
    run.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    run.add_argument("--picture", type=Path, help="draw photo, attention and patches sent (one photo only)")
    add_system_options(run)

    add_evaluate(commands)
    add_schedule(commands)
    add_slo(commands)
    add_codec(commands)
    command(commands, "kernels", _kernels, "say which kernels run here, and how", needs_bundle=False)
    return parser


def _demo(options: argparse.Namespace) -> None:
    from edge_runtime.evaluation import demo

    bundle, edge, gate = load(options)
    paths = demo.photo_paths(options.images)
    with measured_link(options, bundle) as link:
        shown = demo.show(bundle, edge, gate, link, paths)
    options.out.write_text(demo.page(bundle, shown))
    answers = [
        _described(bundle, one.photo, one.answer)
        | {"wire_bytes": one.wire_bytes, "server_whole_photo": bundle.classes[one.whole_label]}
        for one in shown
    ]
    if options.json:
        print(json.dumps({"page": str(options.out), "agreement": demo.agreement(shown), "answers": answers}))
        return
    for answer in answers:
        print(_line(answer))
    print(f"{demo.agreement(shown)} of {len(shown)} agree with the server's answer to the whole photo")
    print(f"the models know {len(bundle.classes)} classes only; the pictures are in {options.out}")


def _run(options: argparse.Namespace) -> None:
    from edge_runtime.evaluation import demo
    from edge_runtime.photos import open_frame
    from edge_runtime.systems.attention import Attention
    from edge_runtime.systems.driver import drive

    if options.picture and len(options.photos) > 1:
        raise ArgumentError(f"--picture: draws one photo, {len(options.photos)} were given")
    bundle, edge, gate = load(options)
    system = Attention(edge, gate, options.server_model)
    with measured_link(options, bundle) as link:
        for number, path in enumerate(options.photos):
            pixels = open_frame(path, bundle.frame)
            frame = Frame(number, pixels, time.monotonic() + deadline_s(options))
            answer = drive(system.infer(frame), link.call, frame.deadline_s)
            described = _described(bundle, str(path), answer)
            print(json.dumps(described) if options.json else _line(described), flush=True)
            if options.picture:
                demo.picture(edge, gate, pixels).save(options.picture)


def _described(bundle: Bundle, photo: str, answer: Answer) -> dict[str, Any]:
    return {
        "photo": photo,
        "label": bundle.classes[answer.label],
        "probability": float(answer.probabilities[answer.label]),
        "decided_by": answer.decided_by,
        "min_entropy": answer.min_entropy,
        "patches_sent": answer.patches_sent,
        "payload_bytes": answer.payload_bytes,
        "note": answer.note,
        "timings_ms": dict(answer.timings_ms),
    }


def _line(answer: dict[str, Any]) -> str:
    stages = ", ".join(f"{stage} {taken:.1f}" for stage, taken in answer["timings_ms"].items())
    note = f" ({answer['note']})" if answer["note"] else ""
    return (
        f"{answer['photo']}: {answer['label']} {answer['probability']:.0%}, decided by {answer['decided_by']}{note}, "
        f"min-entropy {answer['min_entropy']:.2f} bits, {answer['patches_sent']} patches, "
        f"{answer['payload_bytes']} bytes, ms: {stages}"
    )


def _kernels(options: argparse.Namespace) -> None:
    backend = kernels.backend()
    found = {
        "backend": backend.name,
        "isa": backend.isa,
        "functions": dict(backend.functions),
        "runtimes": list(installed_runtimes()),
    }
    if options.json:
        print(json.dumps(found))
        return
    print(f"kernels: {backend.name}, {backend.isa} (EDGE_RUNTIME_KERNELS=native|jit|reference chooses)")
    for name, variant in backend.functions.items():
        print(f"  {name:20} {variant}")
    print(f"model runtimes: {', '.join(installed_runtimes()) or 'none; pip install edge-runtime[onnxruntime]'}")
