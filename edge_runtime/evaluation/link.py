"""A measured link to a server: every byte of the TCP streams is counted, shaped or not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_runtime.errors import LinkLost
from edge_runtime.transport.breaker import Breaker
from edge_runtime.transport.client import Client
from edge_runtime.transport.shaper import LinkShape, Shaper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_runtime.evaluation.trace_syntax import LinkTrace
    from edge_runtime.messages import Reply, Request
    from edge_runtime.models import Bundle
    from edge_runtime.transport.tls import ClientTls

PATIENCE_S = 60.0
# Calls in a row that a device without a model loses before it stops asking: it has nothing else to answer with, and one
# late reply says little of a link that changes.
LOSSES_WITHOUT_MODEL = 3


class MeasuredLink:
    """A client whose connection runs through a counting (and, if asked, shaping) proxy."""

    def __init__(self, client: Client, shaper: Shaper) -> None:
        self.client = client
        self._shaper = shaper

    def call(self, request: Request, timeout_s: float = PATIENCE_S) -> Reply:
        """Send a request; raises ``LinkError`` as the client does."""
        return self.client.call(request, min(timeout_s, PATIENCE_S))

    @property
    def bytes_up(self) -> int:
        """Bytes sent so far: payload, gRPC, HTTP/2 and TLS; what TCP and IP add is not in it."""
        return self._shaper.bytes_up

    @property
    def bytes_down(self) -> int:
        """Bytes received so far."""
        return self._shaper.bytes_down

    def reshape(self, shape: LinkShape) -> None:
        """Let the link have another rate and delay from now on."""
        self._shaper.reshape(shape)

    def wire_bytes(self) -> int:
        """Bytes of both directions so far."""
        return self.bytes_up + self.bytes_down


@contextmanager
def open_link(
    bundle: Bundle,
    server: str | None = None,
    shape: LinkShape | None = None,
    tls: ClientTls | None = None,
    *,
    patient: bool = False,
) -> Iterator[MeasuredLink]:
    """Connect to ``server`` (``host:port``), or to a reference server started for the occasion.

    A server that is not there is no error here: each call then raises ``LinkLost``, and a system may answer alone. A
    ``patient`` link stops asking only after several losses, as that of a device without a model does: it is for systems
    that have no answer of their own.
    """
    if server is None:
        with serving(bundle.folder) as address, open_link(bundle, address, shape, patient=patient) as link:
            yield link
        return
    if tls is not None:
        tls = replace(tls, server_name=server.rpartition(":")[0].strip("[]"))
    is_patient = patient or not bundle.models("edge")
    breaker = Breaker(losses=LOSSES_WITHOUT_MODEL) if is_patient else Breaker()
    with Shaper(server, shape) as shaper, Client(shaper.address, bundle.hash, tls=tls, breaker=breaker) as client:
        yield MeasuredLink(client, shaper)


@contextmanager
def following(trace: LinkTrace, link: MeasuredLink) -> Iterator[float]:
    """Let the link follow the trace for as long as the context lasts; gives the moment at which it began.

    That is on the clock of ``time.monotonic``.
    """
    over, started_s = threading.Event(), time.monotonic()

    def follow() -> None:
        for at_s, rate in trace.bandwidth.steps:
            if over.wait(max(started_s + at_s - time.monotonic(), 0.0)):
                return
            link.reshape(trace.shape(rate))

    thread = threading.Thread(target=follow, name="trace", daemon=True)
    thread.start()
    try:
        yield started_s
    finally:
        over.set()
        thread.join()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run ``edge-server serve`` in a process of its own for as long as the context lasts; gives its address."""
    command = [sys.executable, "-m", "server_ref", "serve", "--bundle", str(folder), "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
    assert process.stdout is not None  # noqa: S101 - it was asked for
    try:
        line = process.stdout.readline()
        if not line:
            raise LinkLost("edge-server did not start; run `edge-server serve --bundle DIR` to see why")
        yield json.loads(line)["address"]
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()
