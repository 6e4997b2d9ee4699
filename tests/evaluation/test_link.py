"""The measured link: counted bytes, a server of its own, TLS through the proxy, nobody at the other end."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import trustme

from edge_runtime.codecs import image
from edge_runtime.errors import LinkLost
from edge_runtime.evaluation.link import following, open_link
from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.messages import Payload, Request
from edge_runtime.scheduling.traces import Trace
from edge_runtime.transport.tls import ClientTls, ServerTls
from server_ref.backend import Backend
from server_ref.server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.models import Bundle
    from edge_runtime.transport.shaper import LinkShape


@pytest.fixture(scope="module")
def request_() -> Request:
    """A whole grey photo."""
    return Request("test", 1, (Payload("image", image.encode(np.full((224, 224, 3), 128, np.uint8), "png")),))


def test_every_byte_of_a_call_is_counted(zoo: Bundle, request_: Request) -> None:
    """The count grows by more than the payload, and not when nothing is sent."""
    with Server(Backend.open(zoo)) as server, open_link(zoo, server.address) as link:
        link.call(request_)
        before = link.wire_bytes()
        reply = link.call(request_)
        spent = link.wire_bytes() - before
        assert reply.probabilities.shape == (1, len(zoo.classes))
        size = len(request_.payloads[0].data)
        assert size < spent < size + 1000


def test_without_a_server_one_is_started_for_the_occasion(zoo: Bundle, request_: Request) -> None:
    """It runs in a process of its own and ends with the context."""
    with open_link(zoo) as link:
        assert link.call(request_).probabilities.shape == (1, len(zoo.classes))


def test_tls_reaches_through_the_counting_proxy(zoo: Bundle, request_: Request, tmp_path: Path) -> None:
    """The server's certificate is checked against the server's name, not the proxy's."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    tls = ServerTls(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Server(Backend.open(zoo), tls=tls) as server:
        port = server.address.rpartition(":")[2]
        with open_link(zoo, f"localhost:{port}", tls=ClientTls(tmp_path / "ca.pem")) as link:
            assert link.call(request_).probabilities.shape == (1, len(zoo.classes))
        with open_link(zoo, f"localhost:{port}") as plain, pytest.raises(LinkLost):
            plain.call(request_)


def test_nobody_at_the_other_end_is_a_lost_link_at_once(zoo: Bundle, request_: Request) -> None:
    """No call waits for a server that refuses the connection."""
    start = time.monotonic()
    with open_link(zoo, "127.0.0.1:9") as link, pytest.raises(LinkLost):
        link.call(request_)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(("patient", "state"), [(False, "open"), (True, "closed")])
def test_a_patient_link_asks_again_after_a_loss(zoo: Bundle, request_: Request, patient: bool, state: str) -> None:
    """A device that has no answer of its own does not give up at the first one."""
    with open_link(zoo, "127.0.0.1:9", patient=patient) as link:
        with pytest.raises(LinkLost):
            link.call(request_)
        assert link.client.breaker.state == state


def test_a_link_follows_its_trace() -> None:
    """Every step is heard of in its order; leaving ends it."""
    heard, is_second = [], threading.Event()

    def hear(shape: LinkShape) -> None:
        heard.append((shape.rate_bps, shape.delay_s))
        if len(heard) == 2:
            is_second.set()

    trace = LinkTrace(Trace([(0.0, 1000.0), (0.01, 2000.0), (1000.0, 3000.0)]), 0.02)
    with following(trace, SimpleNamespace(reshape=hear)):
        assert is_second.wait(10)
    assert heard == [(8000.0, 0.01), (16000.0, 0.01)]
