"""``edge-server``: serve a bundle until told to stop."""

from __future__ import annotations

import argparse
import ipaddress
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edge_runtime.errors import ArgumentError, EdgeRuntimeError
from edge_runtime.models import Bundle, Execution
from edge_runtime.models.execution import Provider
from edge_runtime.transport import ServerTls
from server_ref.backend import MAX_BATCH, Backend
from server_ref.server import Server
from server_ref.sessions import MAX_AGE_S, MAX_BYTES, Sessions

if TYPE_CHECKING:
    from collections.abc import Sequence

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
LEAST = {"threads": 1, "max_batch": 1, "workers": 1, "session_mb": 0, "session_s": 0}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 after an orderly stop, 2 after an error, which is one line on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        _serve(arguments)
    except EdgeRuntimeError as error:
        print(f"edge-server: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edge-server", description="Answer the frames that devices send.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve a bundle until SIGTERM or SIGINT")
    serve.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="the server's half of a bundle")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine)")
    serve.add_argument("--port", type=int, default=50151, help="0 picks a free one (default: %(default)s)")
    serve.add_argument("--model", default="", metavar="NAME", help="serve this model alone (default: all, loaded)")
    serve.add_argument("--threads", type=int, default=1, help="threads of one model (default: %(default)s)")
    serve.add_argument(
        "--provider",
        choices=get_args(Provider),
        default="cpu",
        help="of onnxruntime (default: %(default)s, also where it is missing)",
    )
    serve.add_argument("--max-batch", type=int, default=MAX_BATCH, help="frames in one run (default: %(default)s)")
    serve.add_argument("--workers", type=int, default=16, help="requests taken at a time (default: %(default)s)")
    serve.add_argument(
        "--session-mb",
        type=int,
        default=MAX_BYTES >> 20,
        metavar="MIB",
        help="memory for first rounds that a second may follow; 0: ask for none (default: %(default)s)",
    )
    serve.add_argument(
        "--session-s", type=float, default=MAX_AGE_S, metavar="S", help="forget them so soon (default: %(default)s)"
    )
    serve.add_argument("--tls-cert", type=Path, metavar="PEM", help="the server's certificate chain")
    serve.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    serve.add_argument("--tls-client-ca", type=Path, metavar="PEM", help="admit only clients of this authority")
    serve.add_argument("--grace", type=float, default=5.0, metavar="S", help="seconds that requests in flight may take")
    serve.add_argument("--json", action="store_true", help="print events as JSON lines")
    return parser


def _serve(arguments: argparse.Namespace) -> None:
    tls = _tls(arguments)
    for name, least in LEAST.items():
        if not getattr(arguments, name) >= least:
            raise ArgumentError(f"--{name.replace('_', '-')}: {getattr(arguments, name)} is less than {least}")
    if not 0 <= arguments.port <= 65535:
        raise ArgumentError(f"--port: {arguments.port} is outside 0..65535")
    if tls is None and not _is_loopback(arguments.host):
        print(f"edge-server: {arguments.host} is reachable by others without TLS, see --tls-cert", file=sys.stderr)
    # Blocked before any thread starts, so that every thread leaves them to the wait below.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    bundle = Bundle.load(arguments.bundle)
    sessions = Sessions(arguments.session_mb << 20, arguments.session_s)
    execution = Execution(threads=arguments.threads, provider=arguments.provider)
    backend = Backend.open(bundle, arguments.model, execution, arguments.max_batch, sessions)
    server = Server(backend, arguments.host, arguments.port, tls=tls, workers=arguments.workers)
    models = list(backend.description.models)
    _say(arguments.json, "ready", f"serving {', '.join(models)}", address=server.address, models=models)
    name = signal.Signals(signal.sigwait(STOP_SIGNALS)).name
    _say(arguments.json, "stopping", f"{name}, answering what is in flight", address=server.address, signal=name)
    server.stop(arguments.grace)


def _tls(arguments: argparse.Namespace) -> ServerTls | None:
    certificate, key, client_ca = arguments.tls_cert, arguments.tls_key, arguments.tls_client_ca
    if certificate is None and key is None and client_ca is None:
        return None
    if certificate is None or key is None:
        raise ArgumentError("--tls-cert, --tls-key: TLS needs both, give both or none of the TLS options")
    return ServerTls(certificate, key, client_ca)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _say(as_json: bool, event: str, text: str, **facts: object) -> None:
    line = json.dumps({"event": event, **facts}) if as_json else f"{facts['address']}: {text}"
    print(line, flush=True)
