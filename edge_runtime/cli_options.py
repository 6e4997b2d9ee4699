"""Options that several commands of ``edge-runtime`` share, and what they make of a bundle, a model and a link."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from edge_runtime.errors import ArgumentError
from edge_runtime.models import Bundle, Execution
from edge_runtime.models.bundle import GateSpec
from edge_runtime.models.execution import Provider

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.systems.edge import EdgeModel
    from edge_runtime.transport.tls import ClientTls

# Systems, and options that mean something to these only.
Meant = tuple[tuple[str, ...], tuple[str, ...]]
MEANT_FOR: tuple[Meant, ...] = (
    (("attention",), ("eta", "delta", "uncertainty", "rule", "score", "patch_codec", "edge_model", "server_model")),
    (("attention", "split"), ("quality",)),
    (("attention", "split", "bps", "slimmable"), ("runtime", "precision", "threads", "provider")),
)
ONE_THREAD = 1
DEFAULT_CONFIG = os.environ.get("EDGE_RUNTIME_CONFIG", "/etc/edge-runtime/config.toml")
DEFAULT_BUNDLE = os.environ.get("EDGE_RUNTIME_BUNDLE", "zoo")


def command(commands: Any, name: str, function: Any, text: str, *, needs_bundle: bool = True) -> Any:
    """Add a command that ``function(options)`` runs."""
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=function)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    if needs_bundle:
        parser.add_argument("--bundle", type=Path, default=Path(DEFAULT_BUNDLE), help="default: %(default)s")
    return parser


def add_system_options(parser: argparse.ArgumentParser) -> None:
    """Declare gate, models and link."""
    gate = parser.add_argument_group("gate and selection (default: the bundle's)")
    gate.add_argument("--eta", type=float, help="answer on the device below this uncertainty")
    gate.add_argument("--delta", type=float, help="share of attention, lowest score or number of patches, by rule")
    gate.add_argument("--uncertainty", choices=("min-entropy", "shannon", "margin"))
    gate.add_argument("--rule", choices=("sum", "threshold", "top-k", "random"))
    gate.add_argument("--score", help="last, rollout or rollout[FIRST:END]")
    gate.add_argument("--patch-codec", choices=("raw", "jpeg", "webp"))
    gate.add_argument(
        "--quality", type=int, help="of the patch codec, 1..100; evaluate --system split: of the feature map, 0..100"
    )
    models = add_model_options(parser)
    models.add_argument("--edge-model", default="", help="default: the bundle's")
    models.add_argument("--server-model", default="", help="default: the bundle's")
    add_link_options(parser).add_argument(
        "--deadline",
        "--slo",
        type=milliseconds,
        metavar="MS",
        help="per photo, 80 or 80ms; later the device answers alone, if it can",
    )


def add_model_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Declare how the device runs its models."""
    where = parser.add_argument_group("models")
    where.add_argument("--runtime", choices=("onnxruntime", "litert", "tflite-runtime"), help="of the edge model")
    where.add_argument("--precision", choices=("fp32", "fp16", "int8"), help="of the edge model")
    where.add_argument("--threads", type=int, default=ONE_THREAD, help="of the edge model")
    where.add_argument(
        "--provider", choices=get_args(Provider), help="of onnxruntime (default: cpu, also where it is missing)"
    )
    return where


def execution(options: argparse.Namespace) -> Execution:
    """How the device runs its models."""
    return Execution(options.runtime, options.precision, options.threads, options.provider or "cpu")


def add_link_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Declare where the server is, and the link to it."""
    where = parser.add_argument_group("link")
    where.add_argument("--server", metavar="HOST:PORT", help="default: a server started for the occasion")
    where.add_argument("--tls-ca", type=Path, help="--server speaks TLS: the authority that signed its certificate")
    where.add_argument("--tls-cert", type=Path, help="our own certificate, for a server that asks for one")
    where.add_argument("--tls-key", type=Path)
    where.add_argument("--link", metavar="RATE/RTT", help="shape the link, for example 5mbit/20ms")
    return where


def milliseconds(text: str) -> float:
    """Read ``80`` or ``80ms``, an option's type."""
    try:
        found = float(text.removesuffix("ms"))
    except ValueError:
        found = -1.0
    if not found >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds, write it like 80 or 80ms")
    return found


def refuse_foreign(options: argparse.Namespace, meant_for: Iterable[Meant] = ()) -> None:
    """Raise ArgumentError for an option that means nothing to ``--system``, by ``meant_for`` and `MEANT_FOR`."""
    for systems, names in (*MEANT_FOR, *meant_for):
        if options.system not in systems:
            refuse(options, names, f"goes with --system {' or '.join(systems)}, not {options.system}")


def refuse(options: argparse.Namespace, names: Iterable[str], reason: str) -> None:
    """Raise ArgumentError for the first of the options that was given."""
    for name in names:
        value = getattr(options, name)
        if value not in (None, "", [], ONE_THREAD if name == "threads" else None) and value is not False:
            raise ArgumentError(f"--{name.replace('_', '-')}: {reason}")


def load(options: argparse.Namespace) -> tuple[Bundle, EdgeModel, GateSpec]:
    """The bundle, its edge model, and its gate as the options change it."""
    from edge_runtime.systems.edge import EdgeModel

    bundle = Bundle.load(options.bundle)
    gate = _gate(bundle, options)
    edge = EdgeModel(
        bundle,
        options.edge_model,
        execution(options),
    )
    return bundle, edge, gate


def _gate(bundle: Bundle, options: argparse.Namespace) -> GateSpec:
    return bundle.gate_with(
        {name: getattr(options, name) for name in GateSpec.__struct_fields__ if getattr(options, name) is not None}
    )


def measured_link(
    options: argparse.Namespace, bundle: Bundle, *, patient: bool = False
) -> AbstractContextManager[MeasuredLink]:
    """Connect as the options say; ``patient`` is `open_link`'s."""
    from edge_runtime.evaluation.link import open_link
    from edge_runtime.transport.shaper import LinkShape

    shape = LinkShape.parse(options.link) if options.link else None
    return open_link(bundle, options.server, shape, tls(options), patient=patient)


def tls(options: argparse.Namespace) -> ClientTls | None:
    """The client's side of TLS, if any was asked for; raises ArgumentError without a ``--server``."""
    from edge_runtime.transport.tls import ClientTls

    files = (options.tls_ca, options.tls_cert, options.tls_key)
    if not any(files):
        return None
    if options.server is None:
        raise ArgumentError("--tls-ca, --tls-cert, --tls-key: go with --server, which was not given")
    return ClientTls(*files)


def deadline_s(options: argparse.Namespace) -> float:
    """Seconds that a photo may take; infinity without ``--deadline``."""
    return float("inf") if options.deadline is None else options.deadline / 1e3
