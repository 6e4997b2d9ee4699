"""The device's end of the link: calls that wait for their reply, and calls that hand it over when it comes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from edge_runtime.errors import ArgumentError, LinkError, LinkLost, ServerRefused, SessionForgotten
from edge_runtime.messages import MAX_PATCHES, SESSION_BYTES, Ask, Reply
from edge_runtime.transport import edge_runtime_pb2 as pb
from edge_runtime.transport.breaker import Breaker
from edge_runtime.transport.edge_runtime_pb2_grpc import EdgeRuntimeStub

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from edge_runtime.messages import Request
    from edge_runtime.transport.tls import ClientTls

SERVICE = pb.DESCRIPTOR.services_by_name["EdgeRuntime"].full_name
HEALTH_CHECK = health_pb2.HealthCheckRequest(service=SERVICE)
PROBE_TIMEOUT_S = 1.0
# A reply is some probabilities and names: anything larger does not come from our server.
MAX_REPLY_BYTES = 1 << 20
MAX_BITMAP_BYTES = MAX_PATCHES // 8

OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", MAX_REPLY_BYTES),
    # Reconnect within a second of the server's return; an attempt that hangs is given up after two.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A peer that vanished without closing is noticed while calls wait for it, and only then: an idle link stays idle.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)

# Statuses after which the same request may be answered later; every other one is a refusal.
LOST = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.ABORTED,
}


@dataclass(frozen=True, slots=True)
class Description:
    """What a server says of itself.

    ``bundle_hash`` is hex, sizes are pixels, ``max_frames`` is the most that one request may carry.
    """

    bundle_hash: str
    default_model: str
    models: tuple[str, ...]
    classes: tuple[str, ...]
    payload_kinds: tuple[str, ...]
    frame_size: int
    patch_size: int
    max_frames: int


class Client:
    """A connection to one server that mends itself.

    ``address`` is ``host:port``, ``bundle_hash`` the hex sha256 of the device's bundle. Without ``tls`` the link is
    plain text. A lost call opens the breaker; from then on calls fail at once, and those that find a probe due send the
    health check in the background: no frame ever waits for a probe, and the one after a good probe is sent.

    Threads may share it, and any number of calls may be under way at once. When the server dies, each of them is lost
    by itself, at once. Only `close` must come last: a closed client takes no calls (ValueError).
    """

    def __init__(
        self, address: str, bundle_hash: str, *, tls: ClientTls | None = None, breaker: Breaker | None = None
    ) -> None:
        self.address = address
        self.breaker = breaker or Breaker()
        self._bundle_hash = _hash_bytes(bundle_hash)
        self._channel = (
            grpc.insecure_channel(address, OPTIONS)
            if tls is None
            else grpc.secure_channel(address, tls.credentials(), OPTIONS + tls.options())
        )
        self._stub = EdgeRuntimeStub(self._channel)  # type: ignore[no-untyped-call]
        self._health = health_pb2_grpc.HealthStub(self._channel)

    def call(self, request: Request, timeout_s: float) -> Reply:
        """Send a request and wait up to ``timeout_s`` seconds (infinity: without limit) for its reply.

        Raises LinkLost when there was none, at once while the breaker is open, and ServerRefused when the server said
        no for good or its reply does not fit the request; SessionForgotten when it knows no first round of the request.
        """
        outcomes: SimpleQueue[Reply | LinkError] = SimpleQueue()
        self.start(request, timeout_s, outcomes.put)
        outcome = outcomes.get()
        if isinstance(outcome, LinkError):
            raise outcome
        return outcome

    def start(self, request: Request, timeout_s: float, done: Callable[[Reply | LinkError], None]) -> None:
        """Send a request without waiting; ``done`` is called once, with the reply or with what `call` would raise.

        It is called in a thread of gRPC's, or in the caller's before this returns where the outcome is known by then:
        the breaker is open, or no time is left. It must return soon and may start another call, but not wait for one,
        since the replies of the whole connection pass through that thread. It must not raise: nobody is there to catch
        it, gRPC would only log it, and whoever waits for the outcome would wait for ever.
        """
        unsent = self._why_unsent(timeout_s)
        if unsent:
            done(unsent)
            return
        message = pb.InferRequest(
            system=request.system,
            frame_id=request.frame_id,
            bundle_hash=self._bundle_hash,
            model=request.model,
            second_round=_second_round(request),
            payloads=[pb.Payload(**{payload.kind: payload.data}) for payload in request.payloads],
        )
        answer = self._stub.Infer.future(message, timeout=_limit(timeout_s))
        answer.add_done_callback(lambda answer: done(self._outcome(answer, request)))

    @property
    def reachable(self) -> bool:
        """Whether a call would be tried now. Sends a probe in the background when one is due, as a call does."""
        if self.breaker.claim_probe():
            self._probe()
        return self.breaker.state == "closed"

    def ping(self, timeout_s: float) -> float:
        """Seconds that a health check takes there and back; the first on a connection includes opening it.

        Raises as `call` does, and LinkLost when the server says that it is not serving.
        """
        unsent = self._why_unsent(timeout_s)
        if unsent:
            raise unsent
        start = time.perf_counter()
        try:
            reply = self._health.Check(HEALTH_CHECK, timeout=_limit(timeout_s))
        except grpc.RpcError as error:
            raise self._lost_or_refused(error) from None
        taken_s = time.perf_counter() - start
        if not _is_serving(reply):
            self.breaker.failed()
            raise LinkLost(f"{self.address}: not serving, the server is about to stop")
        self.breaker.succeeded()
        return taken_s

    def describe(self, timeout_s: float = 5.0) -> Description:
        """Ask what the server can answer, waiting for it to come up; raises as `call` does."""
        try:
            reply = self._stub.Describe(pb.DescribeRequest(), timeout=timeout_s, wait_for_ready=True)
        except grpc.RpcError as error:
            raise self._lost_or_refused(error) from None
        self.breaker.succeeded()
        return Description(
            bundle_hash=reply.bundle_hash.hex(),
            default_model=reply.default_model,
            models=tuple(reply.models),
            classes=tuple(reply.classes),
            payload_kinds=tuple(reply.payload_kinds),
            frame_size=reply.frame_size,
            patch_size=reply.patch_size,
            max_frames=reply.max_frames,
        )

    def close(self) -> None:
        """End the connection; calls under way are lost."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _why_unsent(self, timeout_s: float) -> LinkLost | None:
        if not self.reachable:
            return LinkLost(f"{self.address}: not asked, the link was lost and no probe has found it again yet")
        if timeout_s <= 0:
            return LinkLost(f"{self.address}: no time left to ask ({timeout_s:.3f} s)")
        return None

    def _outcome(self, answer: grpc.Future, request: Request) -> Reply | LinkError:
        if answer.code() is not grpc.StatusCode.OK:
            return self._lost_or_refused(answer)
        self.breaker.succeeded()
        reply = answer.result()
        misfit = _misfit(reply, request)
        if misfit:
            return ServerRefused(f"{self.address}: reply: {misfit}")
        return Reply(
            probabilities=np.array(reply.probabilities, np.float32).reshape(len(request.payloads), -1),
            model=reply.model,
            timings_ms={stage: getattr(reply.timings_ms, stage) for stage in ("decode", "queue", "compute")},
            queue_length=reply.queue_length,
            ask=_ask(reply.ask) if reply.HasField("ask") else None,
        )

    def _probe(self) -> None:
        # Waiting for the connection matters: right after the server's return the channel may still be backing off.
        answer = self._health.Check.future(HEALTH_CHECK, timeout=PROBE_TIMEOUT_S, wait_for_ready=True)
        answer.add_done_callback(self._probed)

    def _probed(self, answer: grpc.Future) -> None:
        answered = answer.code() is grpc.StatusCode.OK  # result() would raise when the channel was closed meanwhile
        if answered and _is_serving(answer.result()):
            self.breaker.succeeded()
        else:
            self.breaker.probe_failed()

    def _lost_or_refused(self, error: grpc.RpcError | grpc.Future) -> LinkLost | ServerRefused:
        status, text = error.code(), error.details()
        line = f"{self.address}: {status.name}: {text}"
        # One status for two things: a busy server, and a message that will be too large next time as well.
        too_large = status is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in (text or "")
        if status in LOST and not too_large:
            self.breaker.failed()
            return LinkLost(line)
        # A server that refuses is a server that is there.
        self.breaker.succeeded()
        return SessionForgotten(line) if status is grpc.StatusCode.NOT_FOUND else ServerRefused(line)


def _second_round(request: Request) -> pb.SecondRound | None:
    second = request.second
    return pb.SecondRound(below=second.below, patches=second.patches) if second else None


def _misfit(reply: pb.InferReply, request: Request) -> str:
    """What of a reply does not fit its request; empty when all does."""
    frames, found = len(request.payloads), len(reply.probabilities)
    if found == 0 or found % frames:
        return f"{found} probabilities are no {frames} rows of equal length"
    if not reply.HasField("ask"):
        return ""
    if request.second is None:
        return "asks for patches, which the request did not allow"
    if len(reply.ask.session) != SESSION_BYTES:
        return f"session of {len(reply.ask.session)} bytes, expected {SESSION_BYTES}"
    if len(reply.ask.bitmap) > MAX_BITMAP_BYTES or not any(reply.ask.bitmap):
        return f"bitmap of {len(reply.ask.bitmap)} bytes, expected 1 to {MAX_BITMAP_BYTES} with a bit set"
    return ""


def _ask(message: pb.Ask) -> Ask:
    bits = np.unpackbits(np.frombuffer(message.bitmap, np.uint8), bitorder="little")
    return Ask(message.session, np.flatnonzero(bits).astype(np.uint16))


def _limit(timeout_s: float) -> float | None:
    """Seconds as gRPC takes them."""
    return None if math.isinf(timeout_s) else timeout_s


def _is_serving(reply: health_pb2.HealthCheckResponse) -> bool:
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def _hash_bytes(text: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32:
        raise ArgumentError(f"bundle_hash: {text!r} is not a sha256 in hex (64 digits)")
    return value
