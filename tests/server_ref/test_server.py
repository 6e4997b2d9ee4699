"""Tests of server_ref.server: port, limits, health, TLS and the end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from edge_runtime import kernels
from edge_runtime.codecs import image, patches
from edge_runtime.errors import ArgumentError, LinkLost
from edge_runtime.messages import Payload, Request
from edge_runtime.transport import Client, ClientTls, ServerTls
from edge_runtime.transport.client import SERVICE
from server_ref.server import Server

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def request_(pixels) -> Request:
    """The whole frame."""
    return Request("remote", 7, (Payload("image", image.encode(pixels, "png")),))


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Path:
    """A folder with an authority, a server and a device of it, and a stranger."""
    folder = tmp_path_factory.mktemp("pki")
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, authority in (("server", ours), ("device", ours), ("stranger", theirs)):
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        for part in issued.cert_chain_pems:
            part.write_to_path(str(folder / f"{name}.pem"), append=True)
    return folder


@pytest.fixture
def open_server(backend, pki):
    """A server with TLS that asks for no client certificate."""
    with Server(backend, tls=ServerTls(pki / "server.pem", pki / "server.key")) as server:
        yield server


@pytest.fixture
def closed_server(backend, pki):
    """A server that admits devices of the authority only."""
    with Server(backend, tls=ServerTls(pki / "server.pem", pki / "server.key", pki / "ca.pem")) as server:
        yield server


def client(server: Server, backend, tls: ClientTls | None = None) -> Client:
    """A client of the server with the right bundle."""
    return Client(server.address, backend.description.bundle_hash, tls=tls)


def lost_call(device: Client, request: Request) -> None:
    """A call that must get no answer."""
    with pytest.raises(LinkLost):
        device.call(request, 5)


class TestPort:
    """Where it listens."""

    def test_zero_picks_a_free_one(self, backend):
        """The address tells which port it became."""
        with Server(backend) as server:
            host, port = server.address.split(":")

            assert host == "127.0.0.1"
            assert int(port) > 0

    def test_taken(self, backend):
        """A port in use is an error, not a second server behind the same port."""
        with Server(backend) as server, pytest.raises(ArgumentError, match="cannot be bound, choose a free one or 0"):
            Server(backend, port=int(server.address.split(":")[1]))


class TestLimits:
    """What it takes at a time."""

    def test_more_requests_than_workers(self, backend, predictor, request_):
        """A request beyond the workers is turned away at once, as something that may work later."""
        predictor.hold.clear()
        with Server(backend, workers=1) as server, client(server, backend) as one, client(server, backend) as two:
            first = threading.Thread(target=one.call, args=(request_, 5))
            first.start()
            predictor.began.wait(5)
            with pytest.raises(LinkLost, match="RESOURCE_EXHAUSTED"):
                two.call(request_, 5)
            predictor.hold.set()
            first.join()


    def test_the_most_frames_of_the_largest_payload(self, backend, pixels):
        """A request may be as large as it may be long: 32 raw frames are taken."""
        indices = np.arange(16, dtype=np.uint16)
        whole = Payload("patches", patches.encode(kernels.gather(pixels, indices, 16), indices, (4, 4), "raw"))
        with Server(backend) as server, client(server, backend) as device:
            reply = device.call(Request("remote", 7, (whole,) * device.describe().max_frames), 5)

        assert len(whole.data) > pixels.nbytes
        assert reply.probabilities.shape == (32, 3)


class TestHealth:
    """The standard health service."""

    @pytest.mark.parametrize("service", ["", SERVICE])
    def test_serving(self, backend, service):
        """The whole server and the service by name are SERVING."""
        with Server(backend) as server, grpc.insecure_channel(server.address) as channel:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=5)

            assert reply.status == health_pb2.HealthCheckResponse.SERVING

    def test_watchers_hear_of_the_end(self, backend):
        """A watcher is told NOT_SERVING when the server stops."""
        server = Server(backend)
        with grpc.insecure_channel(server.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=10)
            heard = [next(watch).status]
            server.stop(1)
            heard.append(next(watch).status)

        assert heard == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]


class TestEnd:
    """Stopping."""

    def test_request_in_flight_is_answered(self, backend, predictor, request_):
        """What was taken before the stop is answered within the grace."""
        predictor.hold.clear()
        server = Server(backend)
        replies = []
        with client(server, backend) as device:
            asking = threading.Thread(target=lambda: replies.append(device.call(request_, 5)))
            asking.start()
            predictor.began.wait(5)
            threading.Timer(0.2, predictor.hold.set).start()
            server.stop(5)
            asking.join()

        assert [reply.model for reply in replies] == ["colour"]

    def test_grace_is_bounded(self, backend, predictor, request_):
        """A request that takes longer than the grace is given up."""
        predictor.hold.clear()
        server = Server(backend)
        with client(server, backend) as device:
            asking = threading.Thread(target=lost_call, args=(device, request_))
            asking.start()
            predictor.began.wait(5)
            start = time.monotonic()
            server.stop(0.1)
            stopped_s = time.monotonic() - start
            asking.join()
            predictor.hold.set()

        assert stopped_s < 2


class TestTls:
    """Who may talk to whom."""

    def test_trusted_server(self, open_server, backend, pki, request_):
        """A client that trusts the authority is answered."""
        with client(open_server, backend, ClientTls(pki / "ca.pem")) as device:
            assert device.call(request_, 5).model == "colour"

    def test_untrusted_server(self, open_server, backend, request_):
        """A client that does not trust the authority sends nothing."""
        with client(open_server, backend, ClientTls()) as device, pytest.raises(LinkLost, match="UNAVAILABLE"):
            device.call(request_, 5)

    def test_plain_text_client(self, open_server, backend, request_):
        """A client without TLS gets no answer from a server with it."""
        with client(open_server, backend) as device, pytest.raises(LinkLost):
            device.call(request_, 5)

    def test_client_of_the_authority(self, closed_server, backend, pki, request_):
        """With mTLS a device of the authority is answered."""
        tls = ClientTls(pki / "ca.pem", pki / "device.pem", pki / "device.key")
        with client(closed_server, backend, tls) as device:
            assert device.call(request_, 5).model == "colour"

    def test_client_of_another_authority(self, closed_server, backend, pki, request_):
        """With mTLS a stranger is refused."""
        tls = ClientTls(pki / "ca.pem", pki / "stranger.pem", pki / "stranger.key")
        with client(closed_server, backend, tls) as device, pytest.raises(LinkLost):
            device.call(request_, 5)

    def test_client_without_a_certificate(self, closed_server, backend, pki, request_):
        """With mTLS a client that shows nothing is refused."""
        with client(closed_server, backend, ClientTls(pki / "ca.pem")) as device, pytest.raises(LinkLost):
            device.call(request_, 5)
