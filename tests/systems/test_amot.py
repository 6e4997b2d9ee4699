"""Tests of edge_runtime.systems.amot: whatever happens to the second round, the first one's answer is not lost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.codecs import requested, samples
from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.control.rounds import Bytes, RoundTables, ServerTimes, Setting, Temperatures
from edge_runtime.control.slo import Slo
from edge_runtime.errors import LinkLost, ServerRefused, SessionForgotten, Unmeetable
from edge_runtime.messages import Ask, Frame, Reply, SecondRound
from edge_runtime.models.bundle import FrameSpec
from edge_runtime.systems.amot import Amot, Fixed
from edge_runtime.systems.driver import drive
from edge_runtime.transport.client import Client
from edge_runtime.transport.shaper import Shaper
from server_ref.backend import Backend
from server_ref.server import Server
from server_ref.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_runtime.messages import Answer, Request
    from edge_runtime.models import Bundle

FRAME = FrameSpec(size=64, patch=16)
GRID = (4, 4)
PLAN = Fixed("raw", 100, first=5, second=3, below=0.99)
# Generous, since the machine may be busy.
DEADLINE_S = 5.0


@dataclass
class Learner:
    """A planner with one plan that writes down what it hears; ``most`` patches fit into a second round."""

    given: Fixed = PLAN
    most: int = 16
    heard: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def plan(self, left_s: float) -> Fixed:
        """Say so when no time is left."""
        if left_s <= 0:
            raise Unmeetable(f"deadline: {left_s} s left")
        return self.given

    def second_fits(self, plan: Fixed, count: int, left_s: float) -> bool:
        """By their number."""
        assert plan is self.given
        assert left_s > 0
        return count <= self.most

    def everything_fits(self, plan: Fixed, count: int, left_s: float) -> bool:
        """By their number as well."""
        return self.second_fits(plan, count, left_s)

    def sent(self, size: int, now: float) -> None:  # noqa: ARG002
        """Write down."""
        self.heard.append("sent")
        self.sizes.append(size)

    def replied(self, timings_ms, queue_length: int, now: float) -> None:  # noqa: ARG002
        """Write down."""
        assert set(timings_ms) == {"decode", "queue", "compute"}
        self.heard.append("replied")

    def lost(self, now: float) -> None:  # noqa: ARG002
        """Write down."""
        self.heard.append("lost")


class Scripted:
    """A server that answers from a list: replies, or errors to raise; ``requests`` keeps what it was asked."""

    def __init__(self, *outcomes: Reply | Exception) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[Request] = []

    def __call__(self, request: Request, timeout_s: float) -> Reply:
        """The next one."""
        assert timeout_s > 0
        self.requests.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def reply(*probabilities: float, ask: Ask | None = None) -> Reply:
    """A reply for one frame."""
    times = {"decode": 1.0, "queue": 0.0, "compute": 2.0}
    return Reply(np.array([probabilities], np.float32), "classify", times, ask=ask)


def asking(*indices: int) -> Reply:
    """An unsure reply that asks for these."""
    return reply(0.4, 0.6, ask=Ask(bytes(range(16)), np.array(indices, np.uint16)))


def sampled(frame: Frame, count: int = 5) -> np.ndarray:
    """What is sent first."""
    return kernels.sample("jittered-grid", GRID, count, frame.id % 2**32)


def missing(frame: Frame) -> list[int]:
    """What is not."""
    return np.setdiff1d(np.arange(16), sampled(frame)).tolist()


def run(call: Callable[[Request, float], Reply], frame: Frame, planner: object = PLAN) -> Answer:
    """One frame's answer."""
    return drive(Amot(FRAME, "jittered-grid", planner).infer(frame), call, frame.deadline_s)


class TestRequests:
    """What is sent."""

    def test_one_round(self, frame):
        """A sure server is told nothing more; the answer is the server's."""
        server, planner = Scripted(reply(0.1, 0.9)), Learner()
        answer = run(server, frame, planner)

        (request,) = server.requests
        indices, patches = samples.decode(request.payloads[0].data, GRID, 16)
        assert request.payloads[0].kind == "samples"
        assert (request.system, request.frame_id, request.second) == ("amot", 7, SecondRound(3, 0.99))
        assert np.array_equal(indices, sampled(frame))
        assert np.array_equal(patches, kernels.gather(frame.pixels, indices, 16))
        assert (answer.label, answer.decided_by, answer.rounds, answer.note) == (1, "server", 1, "")
        assert (answer.patches_sent, answer.payload_bytes) == (5, len(request.payloads[0].data))
        assert planner.heard == ["sent", "replied"]
        assert planner.sizes == [answer.payload_bytes]

    def test_the_seed_is_the_frames_number(self, frame):
        """Of its 32 low bits, whatever its size."""
        server = Scripted(reply(0.1, 0.9), reply(0.1, 0.9))
        for number in (8, 2**40 + 8):
            run(server, replace(frame, id=number))

        one, other = (request.payloads[0].data for request in server.requests)
        assert one == other
        assert np.array_equal(samples.decode(one, GRID, 16)[0], sampled(replace(frame, id=8)))

    def test_single_round_plans_allow_no_question(self, frame):
        """Then the server keeps nothing."""
        server = Scripted(reply(0.1, 0.9))
        run(server, frame, Fixed("webp", 50, first=5))

        assert server.requests[0].second is None

    def test_two_rounds(self, frame):
        """What was asked for is sent under the token, and the second answer counts."""
        chosen = missing(frame)[:3]
        server, planner = Scripted(asking(*chosen), reply(0.9, 0.1)), Learner()
        answer = run(server, frame, planner)

        again = server.requests[1]
        data = again.payloads[0].data
        assert (again.payloads[0].kind, again.frame_id, again.second) == ("requested", 7, None)
        assert requested.session_of(data) == bytes(range(16))
        expected = kernels.gather(frame.pixels, np.array(chosen, np.uint16), 16)
        assert np.array_equal(requested.decode(data, 3, 16), expected)
        assert (answer.label, answer.decided_by, answer.rounds) == (0, "server", 2)
        assert answer.patches_sent == 8
        assert answer.payload_bytes == sum(planner.sizes)
        assert answer.timings_ms["server_compute"] == 4.0
        assert planner.heard == ["sent", "replied", "sent", "replied"]

    def test_no_plan(self, frame):
        """What the planner says goes to the caller, before anything is sent."""
        server = Scripted()
        with pytest.raises(Unmeetable):
            run(server, replace(frame, deadline_s=time.monotonic() - 1), Learner())
        assert server.requests == []

    def test_first_round_lost(self, frame):
        """Then there is no answer, and the planner hears of it."""
        planner = Learner()
        with pytest.raises(LinkLost, match="cut"):
            run(Scripted(LinkLost("cut")), frame, planner)
        assert planner.heard == ["sent", "lost"]


class TestBestEffort:
    """What fails in the second round leaves the first answer."""

    @pytest.mark.parametrize("error", [LinkLost("cut"), ServerRefused("INTERNAL: broken")])
    def test_second_round_lost(self, frame, error):
        """It is marked, and says why and what was sent in vain."""
        planner = Learner()
        answer = run(Scripted(asking(*missing(frame)[:3]), error), frame, planner)

        assert (answer.label, answer.decided_by, answer.rounds) == (1, "best-effort", 1)
        assert answer.note == str(error)
        assert answer.patches_sent == 8
        assert answer.payload_bytes == sum(planner.sizes)
        assert planner.heard == ["sent", "replied", "sent", "lost"]

    def test_no_time(self, frame):
        """Nothing is sent that would come too late."""
        server, planner = Scripted(asking(*missing(frame)[:3])), Learner(most=2)
        answer = run(server, frame, planner)

        assert answer.decided_by == "best-effort"
        assert answer.note.startswith("second round: ")
        assert answer.note.endswith("ms left, too little for 3 patches")
        assert answer.patches_sent == 5
        assert planner.heard == ["sent", "replied"]

    @pytest.mark.parametrize("hostile", ["sent already", "outside", "too many", "none"])
    def test_hostile_ask(self, frame, hostile):
        """Only patches of the frame that were allowed and not sent are given."""
        free = missing(frame)
        asked = {
            "sent already": sorted([free[0], int(sampled(frame)[0])]),
            "outside": [free[0], 16],
            "too many": free[:4],
            "none": [],
        }[hostile]
        server = Scripted(asking(*asked))
        answer = run(server, frame)

        assert answer.decided_by == "best-effort"
        assert "asks for patches" in answer.note
        assert len(server.requests) == 1

    def test_other_classes(self, frame):
        """A second answer about other classes is none."""
        answer = run(Scripted(asking(*missing(frame)[:3]), reply(0.1, 0.2, 0.7)), frame)

        assert (answer.label, answer.decided_by) == (1, "best-effort")
        assert answer.note == "reply: 3 probabilities after 2 before"


class TestForgotten:
    """A server that does not know of the first round gets everything."""

    def test_everything_is_sent(self, frame):
        """What was sampled and what was asked for, in one payload."""
        planner = Learner()
        server = Scripted(asking(*missing(frame)[:3]), SessionForgotten("gone"), reply(0.9, 0.1))
        answer = run(server, frame, planner)

        assert [request.payloads[0].kind for request in server.requests] == ["samples", "requested", "patches"]
        assert (answer.label, answer.decided_by, answer.rounds) == (0, "server", 2)
        assert answer.patches_sent == 5 + 3 + 8
        assert answer.payload_bytes == sum(planner.sizes)
        assert planner.heard == ["sent", "replied", "sent", "lost", "sent", "replied"]

    def test_no_time_for_everything(self, frame):
        """Then the first answer has to do."""
        answer = run(Scripted(asking(*missing(frame)[:3]), SessionForgotten("gone")), frame, Learner(most=3))

        assert answer.decided_by == "best-effort"
        assert answer.note.endswith("too little for 8 patches")


class TestServer:
    """With real models behind a real link."""

    @pytest.fixture
    def server(self, rounds_bundle: Bundle) -> Iterator[Server]:
        """A running server."""
        with Server(Backend.open(rounds_bundle)) as running:
            yield running

    @pytest.fixture
    def link(self, server: Server) -> Iterator[Shaper]:
        """A link that falls silent when told."""
        with Shaper(server.address) as shaper:
            yield shaper

    @pytest.fixture
    def client(self, link: Shaper, rounds_bundle: Bundle) -> Iterator[Client]:
        """A device at its other end, connected."""
        with Client(link.address, rounds_bundle.hash) as device:
            device.describe()
            yield device

    @pytest.fixture
    def hurried(self, frame: Frame) -> Frame:
        """The frame, with a deadline."""
        return replace(frame, deadline_s=time.monotonic() + DEADLINE_S)

    @staticmethod
    def before_second(client: Client, happens: Callable[[], object]) -> Callable[[Request, float], Reply]:
        """Calls over the client, with something that happens just before the second round."""

        def call(request: Request, timeout_s: float) -> Reply:
            if request.payloads[0].kind == "requested":
                happens()
            return client.call(request, timeout_s)

        return call

    @staticmethod
    def all_at_once(bundle: Bundle, frame: Frame) -> Answer:
        """The answer from the patches of both rounds in one: as many asked for as there are."""
        wanted = Scripted()
        real = Backend.open(bundle)

        def call(request: Request, timeout_s: float) -> Reply:  # noqa: ARG001
            if request.payloads[0].kind == "requested":
                raise SessionForgotten("on purpose")
            wanted.requests.append(request)
            return real.answer(request)

        answer = run(call, frame)
        assert [request.payloads[0].kind for request in wanted.requests] == ["samples", "patches"]
        return answer

    def test_two_rounds(self, client, rounds_bundle, hurried):
        """The unsure server asks, looks again at everything, and is the one that decides."""
        answer = run(client.call, hurried)

        assert (answer.decided_by, answer.rounds, answer.patches_sent) == ("server", 2, 8)
        expected = self.all_at_once(rounds_bundle, hurried)
        assert np.array_equal(answer.probabilities, expected.probabilities)

    def test_planned_by_what_was_measured(self, client, rounds_bundle, hurried):
        """The planner that learns from the link finds two rounds worth it, and the system does as it says."""
        tables = RoundTables(
            photos=100,
            settings=(Setting("raw", 100),),
            first=(5,),
            second=(0, 3),
            below=(0.0, 0.99),
            temperatures=Temperatures((16,), (1.0,)),
            accuracy=((((0.6, 0.6), (0.6, 0.9)),),),
            asked=(((0.0, 1.0),),),
            first_bytes=((Bytes(3900, 3900),),),
            second_bytes=((Bytes(0, 0), Bytes(2400, 2400)),),
            server_ms=ServerTimes((1.0,), (0.0, 1.0)),
        )
        answer = run(client.call, hurried, Slo(tables, LinkEstimate(1e6, 0.01, time.monotonic())))

        assert (answer.decided_by, answer.rounds, answer.patches_sent) == ("server", 2, 8)
        expected = self.all_at_once(rounds_bundle, hurried)
        assert np.array_equal(answer.probabilities, expected.probabilities)

    def test_restart_between_the_rounds(self, server, rounds_bundle, hurried):
        """The new server knows nothing of the first round; everything is sent and the answer is the same."""
        started = []

        def restart() -> None:
            server.stop(0)
            started.append(Server(Backend.open(rounds_bundle), port=int(server.address.split(":")[1])))
            device.describe()

        with Client(server.address, rounds_bundle.hash) as device:
            answer = run(self.before_second(device, restart), hurried)
            started[0].stop(0)

        assert (answer.decided_by, answer.rounds, answer.patches_sent) == ("server", 2, 16)
        expected = self.all_at_once(rounds_bundle, hurried)
        assert np.array_equal(answer.probabilities, expected.probabilities)

    @pytest.mark.host
    def test_link_falls_silent_between_the_rounds(self, client, link, rounds_bundle, frame):
        """The first answer is given before the deadline, and marked."""
        hurried = replace(frame, deadline_s=time.monotonic() + 1.0)
        answer = run(self.before_second(client, link.silence), hurried)

        assert time.monotonic() < hurried.deadline_s
        assert (answer.decided_by, answer.rounds) == ("best-effort", 1)
        assert "DEADLINE_EXCEEDED" in answer.note
        first = run(Backend.open(rounds_bundle).answer, frame, Fixed("raw", 100, first=5))
        assert np.array_equal(answer.probabilities, first.probabilities)

    @pytest.mark.parametrize(("most", "decided_by"), [(16, "server"), (3, "best-effort")])
    def test_a_session_that_grew_too_old(self, rounds_bundle, hurried, most, decided_by):
        """Everything is sent if there is time for it; else the first answer has to do."""
        now_s = [0.0]
        backend = Backend.open(rounds_bundle, sessions=Sessions(max_age_s=10, clock=lambda: now_s[0]))

        def wait() -> None:
            now_s[0] = 10.0

        with Server(backend) as server, Client(server.address, rounds_bundle.hash) as device:
            answer = run(self.before_second(device, wait), hurried, Learner(most=most))

        assert answer.decided_by == decided_by

    def test_a_second_round_that_came_twice(self, client, hurried):
        """The link may repeat a message: the answer is that of the first time."""
        replies = []

        def call(request: Request, timeout_s: float) -> Reply:
            if request.payloads[0].kind == "requested":
                replies.append(client.call(request, timeout_s))
            return client.call(request, timeout_s)

        answer = run(call, hurried)
        assert np.array_equal(replies[0].probabilities[0], answer.probabilities)
        assert answer.rounds == 2
