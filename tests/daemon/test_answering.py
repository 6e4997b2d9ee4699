"""How frames come to their answers one by one: pipelining, lost links, fallbacks."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.answering import Fallback, OneByOne, Unanswered, drive
from edge_runtime.daemon.link import NoLink, ServerLink
from edge_runtime.errors import LinkLost, ModelError, ServerRefused, Unmeetable
from edge_runtime.messages import Answer, Frame, Payload, Reply, Request
from edge_runtime.models import Bundle
from edge_runtime.photos import open_frame
from edge_runtime.systems.attention import Attention
from edge_runtime.systems.edge import EdgeModel
from edge_runtime.systems.local import Local
from edge_runtime.systems.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor as Threads

    from numpy.typing import NDArray

    from edge_runtime.daemon.answering import Outcome
    from edge_runtime.systems import Inference

PIXELS = np.zeros((2, 2, 3), np.uint8)
REPLY = Reply(np.array([[0.25, 0.75]], np.float32), "net", {"decode": 0.0, "queue": 0.0, "compute": 0.0})
DUE_S = 10.0


class Asking:
    """A system that asks once for every frame, and writes down what it does; ``own`` is whether it copes alone."""

    name = "asking"

    def __init__(self, own: bool = False) -> None:
        self.events: list[str] = []
        self.own = own

    def infer(self, frame: Frame) -> Inference:
        """Ask; the server's answer, or one's own."""
        self.events.append(f"compute {frame.id}")
        try:
            yield Request("asking", frame.id, (Payload("image", b""),))
        except LinkLost as lost:
            self.events.append(f"lost {frame.id}")
            if not self.own:
                raise
            return Answer(np.array([1.0, 0.0], np.float32), 0, "edge-fallback", 0.0, note=str(lost))
        self.events.append(f"reply {frame.id}")
        return Answer(REPLY.probabilities[0], 1, "server", 0.0)


class Wire:
    """A link whose replies come when the test says so."""

    server, lost = "there", "there: not asked"

    def __init__(self, events: list[str]) -> None:
        self.breaker = "closed"
        self.events = events
        self.replies: dict[int, asyncio.Future[Reply]] = {}
        self.timeouts: list[float] = []

    async def call(self, request: Request, timeout_s: float) -> Reply:
        """Wait for the test."""
        self.events.append(f"sent {request.frame_id}")
        self.timeouts.append(timeout_s)
        self.replies[request.frame_id] = asyncio.get_running_loop().create_future()
        return await self.replies[request.frame_id]


class Losing(Wire):
    """A link that loses every request."""

    def __init__(self, error: Exception) -> None:
        super().__init__([])
        self.error = error

    async def call(self, request: Request, timeout_s: float) -> Reply:
        """Lose it."""
        self.events.append(f"sent {request.frame_id}")
        self.timeouts.append(timeout_s)
        raise self.error


@pytest.fixture
def models() -> Iterator[Threads]:
    """The models' thread."""
    with ThreadPoolExecutor(1, "models") as threads:
        yield threads


@pytest.fixture(scope="module")
def edge(zoo: Bundle) -> EdgeModel:
    """The zoo's light transformer."""
    return EdgeModel(zoo)


def frame(number: int, pixels: NDArray[np.uint8] = PIXELS, due_s: float = DUE_S) -> Frame:
    """A frame that is due in so many seconds."""
    return Frame(number, pixels, time.monotonic() + due_s)


async def until(happened: Callable[[], bool]) -> None:
    """Let the loop turn until something has happened."""
    while not happened():
        await asyncio.sleep(0)


def test_a_frame_computes_while_another_is_on_the_wire(models: Threads) -> None:
    """Replies may come in any order, and each goes to its frame."""

    async def run() -> list[Outcome]:
        first = asyncio.create_task(answering.answer(frame(1)))
        await until(lambda: 1 in wire.replies)
        second = asyncio.create_task(answering.answer(frame(2)))
        await until(lambda: 2 in wire.replies)
        wire.replies[2].set_result(REPLY)
        await second
        wire.replies[1].set_result(REPLY)
        return [await first, await second]

    system = Asking()
    wire = Wire(system.events)
    answering = OneByOne(system, wire, models)
    outcomes = asyncio.run(run())
    assert system.events == ["compute 1", "sent 1", "compute 2", "sent 2", "reply 2", "reply 1"]
    assert [(outcome.answer.decided_by, outcome.lost) for outcome in outcomes] == [("server", None)] * 2


def test_every_step_is_taken_in_the_models_thread(models: Threads) -> None:
    """Models may not be shared between threads."""
    seen: list[str] = []

    class Telling(Asking):
        def infer(self, frame: Frame) -> Inference:
            seen.append(threading.current_thread().name)
            answer = yield from super().infer(frame)
            seen.append(threading.current_thread().name)
            return answer

    async def run() -> Answer:
        async def call(_: Request) -> Reply:
            seen.append(threading.current_thread().name)
            return REPLY

        return await drive(Telling().infer(frame(1)), call, models)

    assert asyncio.run(run()).label == 1
    assert seen == ["models_0", "MainThread", "models_0"]


def test_a_lost_link_is_thrown_into_the_system(models: Threads) -> None:
    """One with an answer of its own gives that; what was lost is told."""
    system = Asking(own=True)
    outcome = asyncio.run(OneByOne(system, Losing(LinkLost("cut")), models).answer(frame(3)))
    assert system.events == ["compute 3", "lost 3"]
    assert (outcome.answer.decided_by, outcome.answer.note) == ("edge-fallback", "cut")
    assert outcome.lost is not None
    assert outcome.lost.frame_id == 3


def test_what_a_system_raises_of_itself_is_raised(models: Threads) -> None:
    """A fault in a model is no lost link."""

    class Broken(Asking):
        def infer(self, frame: Frame) -> Inference:
            yield from super().infer(frame)
            raise ModelError("net: did not run")

    async def run() -> None:
        asked = asyncio.create_task(OneByOne(Broken(), wire, models).answer(frame(1)))
        await until(lambda: 1 in wire.replies)
        wire.replies[1].set_result(REPLY)
        await asked

    wire = Wire([])
    with pytest.raises(ModelError):
        asyncio.run(run())


def test_without_any_answer_the_lost_request_is_told(models: Threads) -> None:
    """So that it may be asked later."""
    with pytest.raises(Unanswered, match="cut") as lost:
        asyncio.run(OneByOne(Asking(), Losing(LinkLost("cut")), models).answer(frame(1)))
    assert lost.value.lost is not None
    assert lost.value.lost.payloads[0].kind == "image"


def test_what_a_server_refused_is_not_asked_again(models: Threads) -> None:
    """A refusal leaves no answer, and nothing for later."""
    with pytest.raises(Unanswered, match="no such model") as refused:
        asyncio.run(OneByOne(Asking(), Losing(ServerRefused("no such model")), models).answer(frame(1)))
    assert refused.value.lost is None


def test_the_fallback_has_time_reserved_for_it(models: Threads, edge: EdgeModel, grey: NDArray[np.uint8]) -> None:
    """The server is waited for until just so much is left as the fallback takes, with something to spare."""
    fallback = Fallback(Local(edge), takes_s=1.0)
    link = Losing(LinkLost("silent"))
    outcome = asyncio.run(OneByOne(Asking(), link, models, fallback=fallback).answer(frame(1, grey, due_s=5.0)))
    assert (outcome.answer.decided_by, outcome.answer.note) == ("edge-fallback", "silent")
    assert len(outcome.answer.probabilities) == 10
    assert outcome.lost is not None
    assert 0 < link.timeouts[0] <= 5.0 - fallback.takes_s
    assert fallback.takes_s >= 1.0


def test_a_frame_that_is_late_already_is_asked_about_without_time(models: Threads) -> None:
    """No wait is negative."""
    link = Losing(LinkLost("no time left"))
    with pytest.raises(Unanswered):
        asyncio.run(OneByOne(Asking(), link, models).answer(frame(1, due_s=-1.0)))
    assert link.timeouts == [0.0]


def test_a_plan_that_nothing_meets_takes_the_fallback(
    models: Threads, edge: EdgeModel, grey: NDArray[np.uint8]
) -> None:
    """Nothing was asked, so nothing was lost."""

    class Hurried(Asking):
        def infer(self, frame: Frame) -> Inference:
            yield from ()
            raise Unmeetable(f"frame {frame.id}: 3 ms are left, the smallest plan needs 9")

    fallback = Fallback(Local(edge), 0.0)
    outcome = asyncio.run(OneByOne(Hurried(), NoLink(), models, fallback=fallback).answer(frame(1, grey)))
    assert (outcome.answer.decided_by, outcome.lost) == ("edge-fallback", None)
    assert "3 ms are left" in outcome.answer.note


@pytest.mark.parametrize(("eta", "decided_by"), [(99.0, "edge"), (0.0, "edge-fallback")])
def test_while_the_breaker_is_open_nothing_is_encoded(
    models: Threads, zoo: Bundle, edge: EdgeModel, grey: NDArray[np.uint8], eta: float, decided_by: str
) -> None:
    """Attention answers alone, and marks what its gate would have asked about."""
    system = Attention(edge, zoo.gate_with({"eta": eta}))
    outcome = asyncio.run(OneByOne(system, NoLink(), models, system.alone).answer(frame(1, grey)))
    assert outcome.answer.decided_by == decided_by
    assert outcome.answer.note == ("" if decided_by == "edge" else "no server is configured")
    assert (outcome.lost, outcome.answer.payload_bytes) == (None, 0)
    assert outcome.answer.timings_ms.keys() == {"edge", "select"}


def test_where_questions_are_kept_the_request_is_made_all_the_same(
    models: Threads, zoo: Bundle, edge: EdgeModel, grey: NDArray[np.uint8]
) -> None:
    """What is to be asked later must be encoded, though the breaker is open."""
    system = Attention(edge, zoo.gate_with({"eta": 0.0}))
    outcome = asyncio.run(OneByOne(system, NoLink(), models).answer(frame(1, grey)))
    assert outcome.answer.decided_by == "edge-fallback"
    assert outcome.lost is not None
    assert outcome.lost.payloads[0].kind == "patches"


def test_when_the_breaker_is_open_the_fallback_answers_at_once(
    models: Threads, edge: EdgeModel, grey: NDArray[np.uint8]
) -> None:
    """The system is not even begun."""
    system = Asking()
    fallback = Fallback(Local(edge), 0.0)
    outcome = asyncio.run(OneByOne(system, NoLink(), models, fallback.alone, fallback).answer(frame(1, grey)))
    assert outcome.answer.decided_by == "edge-fallback"
    assert system.events == []


@pytest.mark.host
def test_a_photo_is_sent_over_a_real_link(models: Threads, zoo: Bundle, zoo_server: str, photos: list[bytes]) -> None:
    """The server's answer is the answer."""

    async def run() -> Outcome:
        link = ServerLink(config.Link(server=zoo_server), zoo.hash, losses=1)
        try:
            return await OneByOne(Remote(), link, models).answer(frame(1, open_frame(photos[0], zoo.frame)))
        finally:
            link.close()

    assert asyncio.run(run()).answer.decided_by == "server"
