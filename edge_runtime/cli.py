"""``edge-runtime``: its commands. Errors are one line on stderr and exit code 2."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime import kernels
from edge_runtime.cli_codec import add_codec
from edge_runtime.cli_config import add_config
from edge_runtime.cli_daemon import add_daemon
from edge_runtime.cli_evaluate import add_evaluate
from edge_runtime.cli_modes import add_modes
from edge_runtime.cli_options import add_system_options, command, load, measured_link
from edge_runtime.cli_profile import add_profile
from edge_runtime.cli_run import add_run, described, line
from edge_runtime.cli_schedule import add_schedule
from edge_runtime.cli_slo import add_slo
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.models import installed_runtimes

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        exit_code: int | None = options.command(options)
        sys.stdout.flush()
        return exit_code or 0
    except EdgeRuntimeError as error:
        print(f"edge-runtime: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter must not try to flush the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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

    add_run(commands)
    add_daemon(commands)
    add_config(commands)
    add_evaluate(commands)
    add_profile(commands)
    add_schedule(commands)
    add_slo(commands)
    add_modes(commands)
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
        described(bundle, one.photo, one.answer)
        | {"wire_bytes": one.wire_bytes, "server_whole_photo": bundle.classes[one.whole_label]}
        for one in shown
    ]
    if options.json:
        print(json.dumps({"page": str(options.out), "agreement": demo.agreement(shown), "answers": answers}))
        return
    for answer in answers:
        print(line(answer))
    print(f"{demo.agreement(shown)} of {len(shown)} agree with the server's answer to the whole photo")
    print(f"the models know {len(bundle.classes)} classes only; the pictures are in {options.out}")


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
