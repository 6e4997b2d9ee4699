"""Tests of edge_runtime.transport.client against a real server, through links that fail."""

from __future__ import annotations

import math
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from edge_runtime.errors import ArgumentError, LinkLost, ServerRefused, SessionForgotten
from edge_runtime.messages import Payload, Request, SecondRound
from edge_runtime.transport import Breaker, Client, ClientTls, LinkShape, Shaper
from edge_runtime.transport import edge_runtime_pb2 as pb
from edge_runtime.transport.edge_runtime_pb2_grpc import EdgeRuntimeServicer, add_EdgeRuntimeServicer_to_server
from server_ref.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server_ref.backend import Backend


@pytest.fixture
def server(backend: Backend) -> Iterator[Server]:
    """A running server."""
    with Server(backend) as running:
        yield running


@pytest.fixture
def shaper(server: Server) -> Iterator[Shaper]:
    """A link to it that can be broken."""
    with Shaper(server.address) as link:
        yield link


@pytest.fixture
def client(shaper: Shaper, bundle_hash: str) -> Iterator[Client]:
    """A client at the other end of that link, whose breaker probes every 50 ms."""
    with Client(shaper.address, bundle_hash, breaker=Breaker(first_s=0.05, cap_s=0.05)) as device:
        yield device


@contextmanager
def stubborn_server(
    reply: pb.InferReply, status: grpc.StatusCode = grpc.StatusCode.OK, seen: list[pb.InferRequest] | None = None
) -> Iterator[str]:
    """Address of a server that answers every request alike, and adds the requests to ``seen``."""

    class Stubborn(EdgeRuntimeServicer):
        def Infer(self, request, context):
            if seen is not None:
                seen.append(request)
            context.set_code(status)
            return reply

    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        add_EdgeRuntimeServicer_to_server(Stubborn(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(0).wait()


def error_of(client: Client, request: Request) -> Exception | None:
    """What a call raises."""
    try:
        client.call(request, 5)
    except LinkLost as error:
        return error
    return None


def recovery_s(client: Client, request: Request, patience_s: float = 10) -> float:
    """Seconds until the client is answered again, asking every 10 ms."""
    start = time.monotonic()
    while error_of(client, request) is not None:
        assert time.monotonic() - start < patience_s
        time.sleep(0.01)
    return time.monotonic() - start


class TestCall:
    """Requests that are answered or refused."""

    def test_reply(self, client, photo_request):
        """A reply carries float32 probabilities, the model, three times and the queue."""
        reply = client.call(photo_request, 5)

        assert reply.probabilities.dtype == np.float32
        assert np.array_equal([[0.25] * 4], reply.probabilities)
        assert reply.model == "equal"
        assert list(reply.timings_ms) == ["decode", "queue", "compute"]
        assert reply.queue_length == 0

    def test_one_row_a_frame(self, client, photo_request):
        """Several frames in one request get a row each."""
        several = replace(photo_request, payloads=photo_request.payloads * 3)

        assert np.array_equal([[0.25] * 4] * 3, client.call(several, 5).probabilities)

    @pytest.mark.parametrize("probabilities", [[], [0.5, 0.5, 0.5]])
    def test_reply_that_does_not_fit(self, bundle_hash, photo_request, probabilities):
        """Probabilities that are no rows of equal length, one a frame, are refused."""
        two = replace(photo_request, payloads=photo_request.payloads * 2)
        with (
            stubborn_server(pb.InferReply(probabilities=probabilities)) as address,
            Client(address, bundle_hash) as device,
            pytest.raises(ServerRefused, match=rf"reply: {len(probabilities)} probabilities are no 2 rows"),
        ):
            device.call(two, 5)

    def test_without_a_deadline(self, client, photo_request):
        """Infinity waits as long as it takes."""
        assert client.call(photo_request, math.inf).model == "equal"

    def test_describe(self, client, bundle_hash):
        """The server says what it can answer, sizes and hash included."""
        description = client.describe()

        assert description.bundle_hash == bundle_hash
        assert description.models == ("equal",)
        assert description.payload_kinds == ("image", "patches")
        assert (description.frame_size, description.patch_size, description.max_frames) == (224, 16, 32)

    def test_bad_payload(self, client, photo_request):
        """A refusal carries the server's line and leaves the breaker closed."""
        with pytest.raises(ServerRefused, match="INVALID_ARGUMENT: patches: 4 bytes end inside the header"):
            client.call(Request("attention", 1, (Payload("patches", b"EP\x01\x00"),)), 5)

        assert client.breaker.state == "closed"
        assert client.call(photo_request, 5).model == "equal"

    def test_other_bundle(self, server, photo_request):
        """A device of another export is refused for good."""
        with (
            Client(server.address, "00" * 32) as stranger,
            pytest.raises(ServerRefused, match="FAILED_PRECONDITION: bundle_hash"),
        ):
            stranger.call(photo_request, 5)

    @pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "00" * 31])
    def test_hash_that_is_none(self, text):
        """The bundle's hash must be a sha256."""
        with pytest.raises(ArgumentError, match="is not a sha256 in hex"):
            Client("127.0.0.1:1", text)

    def test_certificate_without_key(self, bundle_hash, tmp_path):
        """A client certificate is of no use without its key."""
        with pytest.raises(ArgumentError, match="needs its key"):
            Client("127.0.0.1:1", bundle_hash, tls=ClientTls(certificate=tmp_path / "device.pem"))

    def test_authority_that_is_missing(self, bundle_hash, tmp_path):
        """A file that cannot be read is named."""
        with pytest.raises(ArgumentError, match=r"ca\.pem cannot be read: No such file"):
            Client("127.0.0.1:1", bundle_hash, tls=ClientTls(tmp_path / "ca.pem"))

    def test_every_byte_is_counted(self, client, shaper, photo_request):
        """The link's counter shows the payload and a small overhead: headers of gRPC and HTTP/2."""
        client.call(photo_request, 5)
        before = shaper.bytes_up
        client.call(photo_request, 5)
        sent = shaper.bytes_up - before

        assert 0 < sent - len(photo_request.payloads[0].data) < 400

    @pytest.mark.host
    def test_slow_link_takes_its_time(self, server, bundle_hash, photo_request):
        """75 kB over 5 Mbit/s with a round trip of 20 ms take 140 ms."""
        shape = LinkShape.parse("5mbit/20ms")
        with Shaper(server.address, shape) as link, Client(link.address, bundle_hash) as device:
            device.describe()
            start = time.monotonic()
            device.call(photo_request, 5)

            assert 0.12 < time.monotonic() - start < 0.6


class TestSecondRound:
    """What a reply may ask for."""

    def test_is_allowed_and_asked_for(self, bundle_hash, photo_request):
        """The request says how many at which confidence, the reply which ones."""
        requests = []
        ask = pb.Ask(session=bytes(range(16)), bitmap=b"\x81\x00\x02")
        with (
            stubborn_server(pb.InferReply(probabilities=[1, 0], ask=ask), seen=requests) as address,
            Client(address, bundle_hash) as device,
        ):
            reply = device.call(replace(photo_request, second=SecondRound(20, 0.75)), 5)

        (seen,) = requests
        assert (seen.second_round.patches, seen.second_round.below) == (20, 0.75)
        assert reply.ask.session == bytes(range(16))
        assert reply.ask.indices.dtype == np.uint16
        assert reply.ask.indices.tolist() == [0, 7, 17]

    def test_is_not_allowed_unless_said(self, bundle_hash, photo_request):
        """A request without it has no such field, and its reply asks for nothing."""
        requests = []
        with (
            stubborn_server(pb.InferReply(probabilities=[1, 0]), seen=requests) as address,
            Client(address, bundle_hash) as device,
        ):
            reply = device.call(photo_request, 5)

        assert not requests[0].HasField("second_round")
        assert reply.ask is None

    def test_unasked(self, bundle_hash, photo_request):
        """An ask that the request did not allow is refused."""
        ask = pb.Ask(session=bytes(16), bitmap=b"\x01")
        with (
            stubborn_server(pb.InferReply(probabilities=[1, 0], ask=ask)) as address,
            Client(address, bundle_hash) as device,
            pytest.raises(ServerRefused, match="reply: asks for patches, which the request did not allow"),
        ):
            device.call(photo_request, 5)

    @pytest.mark.parametrize(
        ("session", "bitmap", "message"),
        [
            (b"short", b"\x01", "session of 5 bytes, expected 16"),
            (bytes(16), b"", "bitmap of 0 bytes, expected 1 to 8192 with a bit set"),
            (bytes(16), bytes(25), "bitmap of 25 bytes"),
            (bytes(16), b"\xff" * 8193, "bitmap of 8193 bytes"),
        ],
    )
    def test_hostile(self, bundle_hash, photo_request, session, bitmap, message):
        """Anything but a session and some patches is refused."""
        reply = pb.InferReply(probabilities=[1, 0], ask=pb.Ask(session=session, bitmap=bitmap))
        with (
            stubborn_server(reply) as address,
            Client(address, bundle_hash) as device,
            pytest.raises(ServerRefused, match=f"reply: {message}"),
        ):
            device.call(replace(photo_request, second=SecondRound(20, 0.75)), 5)

    def test_forgotten(self, bundle_hash, photo_request):
        """A server that knows no first round is there: the breaker stays closed."""
        with (
            stubborn_server(pb.InferReply(), grpc.StatusCode.NOT_FOUND) as address,
            Client(address, bundle_hash) as device,
        ):
            with pytest.raises(SessionForgotten, match="NOT_FOUND"):
                device.call(photo_request, 5)

            assert device.breaker.state == "closed"


class TestStart:
    """Calls that wait for nobody."""

    def test_reply_is_handed_over(self, client, predictor, photo_request):
        """It returns while the server still computes; the reply comes once, later."""
        outcomes = SimpleQueue()
        predictor.hold.clear()
        client.start(photo_request, 5, outcomes.put)
        predictor.began.wait(5)
        early = outcomes.empty()
        predictor.hold.set()

        assert early
        assert outcomes.get(timeout=5).model == "equal"
        assert outcomes.empty()

    def test_several_under_way(self, client, predictor, photo_request):
        """Each call gets its own reply, with as many rows as it has frames."""
        outcomes = SimpleQueue()
        predictor.hold.clear()
        for frames in (1, 2, 3, 4):
            client.start(replace(photo_request, payloads=photo_request.payloads * frames), 5, outcomes.put)
        predictor.hold.set()

        assert sorted(len(outcomes.get(timeout=5).probabilities) for _ in range(4)) == [1, 2, 3, 4]

    def test_refusal_is_handed_over(self, client):
        """What the server will never answer comes as the error that a blocking call raises."""
        outcomes = SimpleQueue()
        client.start(Request("attention", 1, (Payload("patches", b"EP"),)), 5, outcomes.put)

        assert "INVALID_ARGUMENT: patches: " in str(outcomes.get(timeout=5))

    def test_one_may_start_the_next(self, client, photo_request):
        """A call can be started where another one's reply arrives."""
        outcomes = SimpleQueue()
        client.start(photo_request, 5, lambda _: client.start(photo_request, 5, outcomes.put))

        assert outcomes.get(timeout=5).model == "equal"

    @pytest.mark.parametrize("timeout_s", [0, -1])
    def test_no_time_left(self, client, photo_request, timeout_s):
        """Nothing is sent, and the caller hears of it at once."""
        outcomes = SimpleQueue()
        client.start(photo_request, timeout_s, outcomes.put)

        assert "no time left" in str(outcomes.get_nowait())

    def test_open_breaker(self, client, photo_request):
        """Nothing is sent, and the caller hears of it at once."""
        outcomes = SimpleQueue()
        client.breaker.failed()
        client.start(photo_request, 5, outcomes.put)

        assert isinstance(outcomes.get_nowait(), LinkLost)

    @pytest.mark.parametrize("end", ["server dies", "link is cut", "client closes", "time is over"])
    @pytest.mark.host
    def test_each_call_under_way_is_lost_once(self, client, server, shaper, predictor, photo_request, end):
        """However it ends, every call hears of it, promptly and once, and the breaker opens."""
        ends = {
            "server dies": lambda: server.stop(0),
            "link is cut": shaper.cut,
            "client closes": client.close,
            "time is over": lambda: None,
        }
        outcomes = SimpleQueue()
        predictor.hold.clear()
        for _ in range(8):
            client.start(photo_request, 0.5 if end == "time is over" else 30, outcomes.put)
        predictor.began.wait(5)
        start = time.monotonic()
        ends[end]()
        lost = [outcomes.get(timeout=5) for _ in range(8)]
        taken_s = time.monotonic() - start
        predictor.hold.set()
        time.sleep(0.05)

        assert {type(outcome) for outcome in lost} == {LinkLost}
        assert taken_s < 1
        assert outcomes.empty()
        assert client.breaker.state == "open"


class TestReachable:
    """Asking without sending a frame."""

    def test_no_need_to_ask(self, client):
        """Until a call is lost the server is taken to be there."""
        assert client.reachable

    @pytest.mark.host
    def test_finds_the_server_again(self, client, photo_request):
        """Somebody who only asks has the probe sent that finds the server again."""
        client.breaker.failed()
        lost = client.reachable
        start = time.monotonic()
        while not client.reachable:
            assert time.monotonic() - start < 5
            time.sleep(0.005)

        assert not lost
        assert client.call(photo_request, 5).model == "equal"


class TestPing:
    """The round trip."""

    def test_round_trip(self, server, bundle_hash):
        """It takes what the link takes both ways, and little more."""
        with (
            Shaper(server.address, LinkShape(delay_s=0.02)) as link,
            Client(link.address, bundle_hash) as device,
        ):
            device.ping(5)

            assert 0.04 <= min(device.ping(5) for _ in range(3)) < 0.08

    def test_silence(self, client, shaper):
        """It is lost like a call, and opens the breaker like one."""
        client.ping(5)
        shaper.silence()
        with pytest.raises(LinkLost, match="DEADLINE_EXCEEDED"):
            client.ping(0.1)
        with pytest.raises(LinkLost, match="not asked"):
            client.ping(0.1)

    def test_no_time_left(self, client):
        """A ping without time is not sent."""
        with pytest.raises(LinkLost, match="no time left"):
            client.ping(0)

    def test_server_that_is_about_to_stop(self, client, server):
        """A server that says it is not serving is lost."""
        server._health.enter_graceful_shutdown()
        with pytest.raises(LinkLost, match="not serving"):
            client.ping(5)

        assert client.breaker.state == "open"


class TestLost:
    """Links and servers that fail: LinkLost inside the time given, and back again."""

    @pytest.mark.host
    def test_nobody_listens(self, bundle_hash, photo_request):
        """A refused connection is lost at once, not after the time given."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        start = time.monotonic()
        with Client(f"127.0.0.1:{port}", bundle_hash) as device, pytest.raises(LinkLost, match="UNAVAILABLE"):
            device.call(photo_request, 5)

        assert time.monotonic() - start < 2

    def test_no_time_left(self, client, photo_request):
        """A deadline that has passed is not worth a packet, and says nothing about the link."""
        with pytest.raises(LinkLost, match="no time left"):
            client.call(photo_request, 0)

        assert client.breaker.state == "closed"

    @pytest.mark.host
    def test_open_breaker_costs_nothing(self, client, shaper, photo_request):
        """While the link is known to be lost a call fails within a millisecond."""
        client.call(photo_request, 5)
        shaper.silence()
        with pytest.raises(LinkLost):
            client.call(photo_request, 0.2)
        costs = []
        for _ in range(50):
            start = time.perf_counter()
            with pytest.raises(LinkLost, match="not asked"):
                client.call(photo_request, 5)
            costs.append(time.perf_counter() - start)

        assert sorted(costs)[25] < 0.001

    @pytest.mark.host
    def test_silent_server(self, client, shaper, photo_request):
        """A silence costs the time given once; after it the client recovers by itself."""
        client.call(photo_request, 5)
        shaper.silence()
        start = time.monotonic()
        with pytest.raises(LinkLost, match="DEADLINE_EXCEEDED"):
            client.call(photo_request, 0.3)
        lost_s = time.monotonic() - start
        time.sleep(0.2)
        shaper.resume()
        recovery_s(client, photo_request)

        assert 0.29 < lost_s < 0.6
        assert client.breaker.state == "closed"

    @pytest.mark.host
    def test_cut_in_mid_reply(self, client, shaper, predictor, photo_request):
        """A connection that dies while the server computes is lost at once; the next one is opened unasked."""
        predictor.hold.clear()
        lost = []
        asking = threading.Thread(target=lambda: lost.append(error_of(client, photo_request)))
        start = time.monotonic()
        asking.start()
        predictor.began.wait(5)
        shaper.cut()
        asking.join()
        lost_s = time.monotonic() - start
        predictor.hold.set()
        recovery_s(client, photo_request)

        assert isinstance(lost[0], LinkLost)
        assert lost_s < 2

    @pytest.mark.host
    def test_killed_between_two_calls(self, backend, bundle_hash, photo_request):
        """A server that dies and comes back on its port is found again; until then every call is lost in time."""
        first = Server(backend)
        port = int(first.address.split(":")[1])
        with Client(first.address, bundle_hash, breaker=Breaker(first_s=0.05, cap_s=0.2)) as device:
            device.call(photo_request, 5)
            first.stop(0)
            times = []
            for _ in range(20):
                start = time.monotonic()
                with pytest.raises(LinkLost):
                    device.call(photo_request, 0.5)
                times.append(time.monotonic() - start)
                time.sleep(0.01)
            with Server(backend, port=port):
                recovery_s(device, photo_request)
                state = device.breaker.state

        assert max(times) < 0.6
        assert state == "closed"

    def test_closed_while_a_probe_is_under_way(self, client, shaper, photo_request):
        """Closing the client ends a probe without a word."""
        client.call(photo_request, 5)
        shaper.silence()
        with pytest.raises(LinkLost):
            client.call(photo_request, 0.1)
        time.sleep(0.06)
        with pytest.raises(LinkLost, match="not asked"):
            client.call(photo_request, 0.1)
        client.close()

        assert client.breaker.state in ("half-open", "open")

    def test_oversized_message(self, client):
        """A message beyond the server's limit is refused for good, which says nothing about the link."""
        with pytest.raises(ServerRefused, match="RESOURCE_EXHAUSTED"):
            client.call(Request("attention", 1, (Payload("patches", bytes(1 << 23)),)), 5)

        assert client.breaker.state == "closed"

    def test_a_hundred_cuts(self, client, shaper, photo_request):
        """However often the link is cut, every call ends in a reply or LinkLost, and the client is answered again."""
        outcomes = []
        for cut in range(100):
            if cut % 2:
                shaper.cut()
            outcomes.append(error_of(client, photo_request))
        recovery_s(client, photo_request)

        assert {type(outcome) for outcome in outcomes} <= {type(None), LinkLost}
