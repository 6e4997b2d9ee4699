"""``edge-runtime profile``: measure this device, compare with an earlier profile, or write the scheduler's tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.cli_options import add_link_options, add_model_options, command, execution, refuse
from edge_runtime.cli_schedule import add_tables_profile, profile_for_scheduler
from edge_runtime.errors import ArgumentError
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    import argparse

    from edge_runtime.profiling.device import Wanted

BUDGET_S = 60.0
SLOWER = 1
DEVICE_ONLY = ("kernels_only", "models_only", "only", "compare", "trace", "picture", "seconds")
SCHEDULER_ONLY = (
    "data", "every", "network", "retime", "server", "tls_ca", "tls_cert", "tls_key", "link", "limit",
)  # fmt: skip


def add_profile(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "profile", _profile, "measure kernels, models and stages on this device")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--kernels-only", action="store_true", help="leave the models out; no bundle is read")
    what.add_argument("--models-only", action="store_true", help="leave the kernels out")
    what.add_argument("--for-scheduler", action="store_true", help="write the scheduler's tables instead: see below")
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="rows with this in them: softmax, [jit], 'gate*avx2*'"
    )
    parser.add_argument(
        "--seconds", type=float, help=f"for all samples together ({BUDGET_S:g}); first calls come on top"
    )
    parser.add_argument("--out", type=Path, help="write the JSON to this file; --for-scheduler: the tables")
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="say what changed; exit 1 if a row is slower")
    parser.add_argument("--trace", type=Path, metavar="OUT.json", help="write what ran when, for Perfetto")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="draw the roofline and the stages")
    add_model_options(parser)
    parser.set_defaults(threads=None)
    add_tables_profile(parser)
    add_link_options(parser)


def _profile(options: argparse.Namespace) -> int:
    if options.for_scheduler:
        refuse(options, DEVICE_ONLY, "goes with a profile of the device, not with --for-scheduler")
        options.threads = options.threads or 1
        profile_for_scheduler(options)
        return 0
    refuse(options, SCHEDULER_ONLY, "goes with --for-scheduler")
    return _profile_device(options)


def _profile_device(options: argparse.Namespace) -> int:
    from edge_runtime.profiling import chrome_trace, report
    from edge_runtime.profiling.device import active_backend, profile
    from edge_runtime.profiling.text import text

    # What cannot be read or written is found out before the minutes of measuring.
    old = report.load(options.compare) if options.compare else None
    for path in filter(None, (options.out, options.trace, options.picture)):
        if not path.parent.is_dir():
            raise ArgumentError(f"{path}: there is no folder {path.parent}, make it first")
    found = profile(_wanted(options))
    if options.out:
        options.out.write_bytes(report.encode(found.profile) + b"\n")
    if options.trace:
        chrome_trace.save(options.trace, found.spans, found.readings)
    print(report.encode(found.profile).decode() if options.json else text(found.profile, active_backend()))
    if options.picture:
        from edge_runtime.profiling.pictures import draw

        draw(found.profile, options.picture)
    return 0 if old is None else _compare(old, found.profile, options.json)


def _wanted(options: argparse.Namespace) -> Wanted:
    from edge_runtime.profiling.device import Wanted

    seconds = BUDGET_S if options.seconds is None else options.seconds
    if not seconds > 0:
        raise ArgumentError(f"--seconds: {seconds:g} is not above 0")
    if options.threads is not None and options.threads < 1:
        raise ArgumentError(f"--threads: {options.threads} is not 1 or more")
    options.threads = options.threads or 0
    bundle = None if options.kernels_only else Bundle.load(options.bundle)
    return Wanted(bundle, not options.models_only, options.only, execution(options), seconds)


def _compare(old: Any, new: Any, json_on_stdout: bool) -> int:
    """Print the verdicts, beside JSON on stderr; the exit code."""
    from edge_runtime.profiling import compare

    comparison = compare.compare(old, new)
    print(compare.text(comparison), file=sys.stderr if json_on_stdout else sys.stdout)
    return SLOWER if comparison.slower else 0
