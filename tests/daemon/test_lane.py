"""One source's lane: from a captured frame to its record at the sinks."""

from __future__ import annotations

import asyncio
import io
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs

from edge_runtime.codecs import image
from edge_runtime.daemon import config
from edge_runtime.daemon.answering import OneByOne, Outcome, Unanswered
from edge_runtime.daemon.frames import Captured, Record
from edge_runtime.daemon.lane import WHOLE_EVERY, Lane
from edge_runtime.daemon.link import NoLink
from edge_runtime.daemon.metrics import Metrics
from edge_runtime.daemon.recent import Recent
from edge_runtime.daemon.systems import Opened
from edge_runtime.daemon.tally import Tally
from edge_runtime.errors import EdgeRuntimeError, LinkLost, ModelError, PhotoError, SinkError, SourceError
from edge_runtime.messages import Answer, Frame, Mode, Payload, Reply, Request
from edge_runtime.systems.edge import EdgeModel
from edge_runtime.systems.local import Local
from edge_runtime.systems.remote import Remote
from edge_runtime.transport.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from concurrent.futures import Executor as Threads
    from pathlib import Path

    from edge_runtime.daemon.answering import Answering
    from edge_runtime.daemon.intake import Intake
    from edge_runtime.daemon.link import Link
    from edge_runtime.models import Bundle


class Idle:
    """A source from which nothing comes; the test offers frames itself. With ``ends``, one that ends so."""

    trouble = ""

    def __init__(self, ends: Exception | None = None) -> None:
        self.ends = ends

    async def run(self, intake: Intake) -> None:  # noqa: ARG002 - of `Source`
        """Wait, or end."""
        if self.ends:
            raise self.ends
        await asyncio.Event().wait()


class Kept:
    """A sink that keeps records in memory; ``trouble`` loses them, and while ``open`` is cleared none is taken."""

    name = "memory"

    def __init__(self, trouble: str = "") -> None:
        self.trouble = trouble
        self.records: list[Record] = []
        self.open = asyncio.Event()
        self.open.set()

    async def start(self) -> None:
        """Nothing to open."""

    async def put(self, record: Record) -> None:
        """Keep it, or not."""
        if self.trouble:
            raise SinkError(self.trouble)
        await self.open.wait()
        self.records.append(record)

    async def close(self) -> None:
        """Nothing is held."""


class Saying:
    """An answering that says what the test wants; frames wait while ``open`` is cleared."""

    def __init__(self, say: Callable[[Frame], Outcome]) -> None:
        self.say = say
        self.closed = False
        self.under_way = self.most_under_way = 0
        self.open = asyncio.Event()
        self.open.set()

    async def answer(self, frame: Frame) -> Outcome:
        """Say it."""
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.open.wait()
            return self.say(frame)
        finally:
            self.under_way -= 1

    def close(self) -> None:
        """Remember that."""
        self.closed = True


def sure(_: Frame) -> Outcome:
    """The device's answer: the second of ten classes."""
    return Outcome(Answer(np.eye(10, dtype=np.float32)[1], 1, "edge", 0.25, timings_ms={"edge": 3.0}))


class Workplace:
    """What a lane needs, and what came of it."""

    def __init__(self, bundle: Bundle, eyes: Threads) -> None:
        self.bundle, self.eyes = bundle, eyes
        self.metrics = Metrics()
        self.tally = Tally("gate", self.metrics)
        self.recent = Recent(100)
        self.spool: Spool | None = None
        self.link: Link = NoLink()
        self.source = Idle()

    def lane(self, answering: Answering, *sinks: Kept, in_flight: int = 4, **settings: Any) -> Lane:
        """A lane that has begun."""
        table = config.Posted(name="gate", system=config.Local(), **settings)
        opened = Opened(
            self.bundle, self.link, answering, in_flight, True, lambda answer: answer.note or "so", Remote()
        )
        lane = Lane(table, "wait", self.source, opened, sinks, self.tally, self.recent, self.spool, self.eyes)
        lane.start()
        return lane

    def state(self) -> Any:
        """The counts."""
        return self.tally.state("http", "local", 0, 0)


@pytest.fixture
def workplace(zoo: Bundle) -> Iterator[Workplace]:
    """A place for the zoo's frames."""
    with ThreadPoolExecutor(1, "eyes") as eyes:
        yield Workplace(zoo, eyes)


def due(photo: bytes | np.ndarray, name: str = "one.jpg", due_s: float = 10.0) -> Captured:
    """A frame that is due in so many seconds."""
    return Captured(name, photo, time.monotonic() + due_s)


async def end(lane: Lane) -> None:
    """As the assembly ends lanes."""
    await lane.stop_feeding()
    await lane.drain()


async def ask(lane: Lane, *frames: Captured) -> list[Record | BaseException]:
    """Offer frames; what became of each."""
    for captured in frames:
        await lane.intake.offer(captured)
    return await asyncio.gather(*(captured.recorded for captured in frames), return_exceptions=True)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run it in a loop of its own."""
    asyncio.run(test())  # type: ignore[arg-type]


def test_every_frame_has_one_record_at_every_sink(workplace: Workplace, zoo: Bundle, photos: list[bytes]) -> None:
    """With a real model, several under way at once, and more than the queue holds."""

    async def test() -> None:
        sinks = Kept(), Kept()
        with ThreadPoolExecutor(1) as models:
            lane = workplace.lane(OneByOne(Local(EdgeModel(zoo)), NoLink(), models), *sinks, queue=2)
            frames = [due(photos[number % 4], f"{number}.jpg") for number in range(16)]
            records = await ask(lane, *frames)
            await end(lane)
        assert [record.name for record in records] == [frame.name for frame in frames]
        for sink in sinks:
            assert sorted(record.key for record in sink.records) == sorted(frame.key for frame in frames)
        assert [frame.answered.result() for frame in frames] == records

    run(test)
    assert workplace.state().frames == workplace.state().answers["edge"] == 16
    assert len(workplace.recent.since(0)) >= 1


def test_a_record_says_all_there_is_to_say_of_a_photo(workplace: Workplace, photos: list[bytes]) -> None:
    """Its times add up, and its whole bytes are those of the file."""

    def say(frame: Frame) -> Outcome:
        answer = Answer(
            np.eye(10, dtype=np.float32)[3],
            3,
            "server",
            1.5,
            patches_sent=7,
            payload_bytes=900,
            rounds=2,
            note="for a test",
            timings_ms={"edge": 3.0},
            mode=Mode(2, 4),
        )
        assert frame.deadline_s == captured.deadline_s
        return Outcome(answer)

    async def test() -> None:
        nonlocal captured
        captured = due(photos[0])
        lane = workplace.lane(Saying(say))
        (record,) = await ask(lane, captured)
        await end(lane)
        assert isinstance(record, Record)
        assert (record.key, record.source, record.name) == (captured.key, "gate", "one.jpg")
        assert (record.system, record.bundle_hash) == ("local", workplace.bundle.hash)
        assert (record.label, record.probability) == (workplace.bundle.classes[3], 1.0)
        assert (record.decided_by, record.why, record.min_entropy) == ("server", "for a test", 1.5)
        assert (record.patches_sent, record.payload_bytes, record.rounds) == (7, 900, 2)
        assert record.whole_bytes == len(photos[0])
        assert record.mode == {"encoders": 2, "levels": 4}
        assert record.captured == captured.captured.isoformat(timespec="milliseconds")
        assert record.captured.endswith("+00:00")
        assert record.timings_ms.keys() == {"queue", "decode", "edge"}
        assert record.latency_ms >= record.timings_ms["queue"] + record.timings_ms["decode"]
        assert record.deadline_ms == pytest.approx(10_000, abs=100)
        assert record.in_time
        assert not record.revises

    captured: Captured
    run(test)


def test_an_answer_after_the_deadline_is_late(workplace: Workplace, photos: list[bytes]) -> None:
    """It is given all the same, and counted."""

    async def test() -> None:
        lane = workplace.lane(Saying(sure))
        (record,) = await ask(lane, due(photos[0], due_s=-1.0))
        await end(lane)
        assert isinstance(record, Record)
        assert (record.label, record.in_time) == (workplace.bundle.classes[1], False)

    run(test)
    assert workplace.state().late == 1


def test_a_frame_that_nobody_could_answer_has_a_record_too(workplace: Workplace, photos: list[bytes]) -> None:
    """Without label, and never in time."""

    def lose(_: Frame) -> Outcome:
        raise Unanswered("there: cut", None)

    async def test() -> None:
        sink = Kept()
        lane = workplace.lane(Saying(lose), sink)
        (record,) = await ask(lane, due(photos[0]))
        await end(lane)
        assert [record] == sink.records
        assert isinstance(record, Record)
        assert (record.decided_by, record.label, record.probability) == ("none", None, 0.0)
        assert (record.why, record.in_time, record.min_entropy) == ("there: cut", False, None)

    run(test)
    assert workplace.state().answers == {"none": 1}


def test_a_cameras_pixels_are_fitted_and_their_whole_bytes_measured_now_and_then(workplace: Workplace) -> None:
    """By a JPEG of the first of so many frames, for each would take a camera's time."""

    async def test() -> None:
        noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
        flat = np.zeros_like(noise)
        lane = workplace.lane(Saying(shape), in_flight=1)
        records = await ask(lane, *(due(pixels) for pixels in (noise, *[flat] * WHOLE_EVERY)))
        await end(lane)
        whole = [record.whole_bytes for record in records if isinstance(record, Record)]
        sizes = [len(image.encode(pixels, "jpeg", 75)) for pixels in (noise, flat)]
        assert whole == [sizes[0]] * WHOLE_EVERY + [sizes[1]]

    def shape(frame: Frame) -> Outcome:
        assert frame.pixels.shape == (224, 224, 3)
        return sure(frame)

    run(test)


def saved(mode: str, form: str, size: tuple[int, int] = (40, 30)) -> bytes:
    """A photo of Pillow's."""
    out = io.BytesIO()
    Image.new(mode, size, 200).save(out, form)
    return out.getvalue()


@pytest.mark.parametrize(
    "photo",
    [
        saved("RGB", "JPEG", (1, 1)),
        saved("L", "JPEG"),
        saved("CMYK", "JPEG"),
        saved("RGBA", "PNG"),
        saved("P", "PNG"),
        saved("1", "PNG"),
        saved("I;16", "PNG"),
        saved("RGB", "WEBP"),
    ],
    ids=["1x1", "grey", "cmyk", "alpha", "palette", "bits", "16 bit", "webp"],
)
def test_photos_of_every_sort_are_answered(workplace: Workplace, photo: bytes) -> None:
    """Whatever they are, they become frames."""

    async def test() -> None:
        lane = workplace.lane(Saying(sure))
        (record,) = await ask(lane, due(photo))
        await end(lane)
        assert isinstance(record, Record)
        assert record.whole_bytes == len(photo)

    run(test)


def test_what_cannot_be_read_is_refused_and_the_next_one_answered(workplace: Workplace, photos: list[bytes]) -> None:
    """Both futures say why; the refusal is counted and logged, and no sink hears of it."""

    async def test() -> None:
        sink = Kept()
        lane = workplace.lane(Saying(sure), sink)
        bad = [photos[0][: len(photos[0]) // 2], b"To whom it may concern", b"", photos[0][:20], b"\x89PNG\r\n\x1a\n"]
        for number, photo in enumerate(bad):
            captured = due(photo, f"{number}.jpg")
            (error,) = await ask(lane, captured)
            assert isinstance(error, PhotoError), number
            assert captured.answered.exception() is error
            (record,) = await ask(lane, due(photos[0]))
            assert isinstance(record, Record)
        await end(lane)
        assert len(sink.records) == len(bad)

    with capture_logs() as logs:
        run(test)
    assert (workplace.state().refused, workplace.state().frames) == (5, 10)
    assert [one["photo"] for one in logs if one["event"] == "a photo was refused"] == [f"{n}.jpg" for n in range(5)]


@pytest.mark.parametrize("error", [ModelError("net: did not run"), ZeroDivisionError("of ours")])
def test_a_model_that_raises_fails_its_frame_only(workplace: Workplace, photos: list[bytes], error: Exception) -> None:
    """Who waits is told, the log has the reason, and the next frame is fine."""

    def say(frame: Frame) -> Outcome:
        if frame.id == 0:
            raise error
        return sure(frame)

    async def test() -> None:
        lane = workplace.lane(Saying(say))
        (failed,) = await ask(lane, due(photos[0], "bad.jpg"))
        assert isinstance(failed, EdgeRuntimeError)
        assert str(failed) == f"bad.jpg: could not be answered: {error}"
        (record,) = await ask(lane, due(photos[0]))
        assert isinstance(record, Record)
        await end(lane)
        assert lane.state().in_flight == 0

    with capture_logs() as logs:
        run(test)
    assert [one["log_level"] for one in logs] == ["error"]


def test_no_more_frames_are_under_way_than_suit_the_system(workplace: Workplace, photos: list[bytes]) -> None:
    """The others wait in the queue, and the state tells both."""

    async def test() -> None:
        answering = Saying(sure)
        answering.open.clear()
        lane = workplace.lane(answering, in_flight=3)
        frames = [due(photos[0]) for _ in range(8)]
        for captured in frames:
            await lane.intake.offer(captured)
        while answering.under_way < 3 or len(lane.intake) < 5:
            await asyncio.sleep(0)
        assert (lane.state().in_flight, lane.state().queued) == (3, 5)
        answering.open.set()
        await asyncio.gather(*(captured.recorded for captured in frames))
        await end(lane)
        assert answering.most_under_way == 3

    run(test)


def test_what_was_captured_is_answered_before_the_lane_ends(workplace: Workplace, photos: list[bytes]) -> None:
    """Stopping takes no more frames; draining waits for those that wait, then closes the system."""

    async def test() -> None:
        answering, sink = Saying(sure), Kept()
        answering.open.clear()
        lane = workplace.lane(answering, sink, in_flight=1)
        frames = [due(photos[0]) for _ in range(5)]
        for captured in frames:
            await lane.intake.offer(captured)
        await lane.stop_feeding()
        assert not await lane.intake.offer(due(photos[0]))
        draining = asyncio.create_task(lane.drain())
        await asyncio.sleep(0)
        assert not answering.closed
        answering.open.set()
        await draining
        assert answering.closed
        assert len(sink.records) == 5

    run(test)
    assert workplace.state().dropped == {"stopped": 1}


def test_who_waits_for_the_answer_does_not_wait_for_the_sinks(workplace: Workplace, photos: list[bytes]) -> None:
    """A slow sink delays the record alone."""

    async def test() -> None:
        sink = Kept()
        sink.open.clear()
        lane = workplace.lane(Saying(sure), sink)
        captured = due(photos[0])
        await lane.intake.offer(captured)
        await captured.answered
        assert not captured.recorded.done()
        sink.open.set()
        assert await captured.recorded is captured.answered.result()
        await end(lane)

    run(test)


def test_a_sink_that_loses_a_record_costs_neither_frame_nor_other_sinks(
    workplace: Workplace, photos: list[bytes]
) -> None:
    """It has counted that itself."""

    async def test() -> None:
        bad, good = Kept("disk full"), Kept()
        lane = workplace.lane(Saying(sure), bad, good)
        (record,) = await ask(lane, due(photos[0]))
        await end(lane)
        assert good.records == [record]

    run(test)


def test_a_caller_that_has_gone_leaves_its_photo_to_be_recorded(workplace: Workplace, photos: list[bytes]) -> None:
    """A client's patience ends before the answer, and the answer is worth as much."""

    async def test() -> None:
        sink = Kept()
        lane = workplace.lane(Saying(sure), sink)
        captured = due(photos[0])
        captured.answered.cancel()
        assert await ask(lane, captured) == sink.records
        assert len(sink.records) == 1
        await end(lane)

    run(test)


@pytest.mark.parametrize(
    ("ends", "trouble"),
    [(SourceError("cam: no such device"), "cam: no such device"), (KeyError("ours"), "gate: KeyError('ours')")],
)
def test_a_source_that_ends_is_a_trouble_of_the_lane(
    workplace: Workplace, photos: list[bytes], ends: Exception, trouble: str
) -> None:
    """What waits is answered all the same."""

    async def test() -> None:
        workplace.source = Idle(ends)
        lane = workplace.lane(Saying(sure))
        while not lane.trouble:
            await asyncio.sleep(0)
        assert lane.trouble == trouble
        assert isinstance((await ask(lane, due(photos[0])))[0], Record)
        await end(lane)

    with capture_logs() as logs:
        run(test)
    assert [one["source"] for one in logs if one["log_level"] == "error"] == ["gate"]


def test_a_sources_own_trouble_shows_while_it_lasts(workplace: Workplace) -> None:
    """A folder may come back."""

    async def test() -> None:
        lane = workplace.lane(Saying(sure))
        workplace.source.trouble = "in: is gone"
        assert lane.trouble == "in: is gone"
        workplace.source.trouble = ""
        assert lane.trouble == ""
        await end(lane)

    run(test)


class There:
    """A link to a server that says class 4, from when its breaker closes."""

    server, lost = "there", "there: not asked"

    def __init__(self) -> None:
        self.breaker = "open"
        self.asked: list[Request] = []

    async def call(self, request: Request, _: float) -> Reply:
        """Answer, or lose it."""
        self.asked.append(request)
        if self.breaker != "closed":
            raise LinkLost(self.lost)
        timings_ms = {"decode": 0.0, "queue": 0.0, "compute": 0.0}
        return Reply(np.eye(10, dtype=np.float32)[4:5], "net", timings_ms)

    def close(self) -> None:
        """Nothing to end."""


def test_audits_are_offered_what_was_answered(workplace: Workplace, photos: list[bytes]) -> None:
    """Once the record is made; draining ends what is under way."""

    async def test() -> None:
        workplace.link = link = There()
        link.breaker = "closed"
        lane = workplace.lane(Saying(sure), audit=1.0)
        await ask(lane, due(photos[0]))
        while not workplace.state().audits:
            await asyncio.sleep(0)
        await end(lane)
        assert [request.system for request in link.asked] == ["remote"]

    run(test)
    assert workplace.state().audits == {"disagreed": 1}


@pytest.mark.parametrize(
    ("decided_by", "kept"), [("edge-fallback", True), ("none", True), ("best-effort", False), ("edge", False)]
)
def test_what_the_server_should_have_been_asked_is_kept(
    workplace: Workplace, photos: list[bytes], tmp_path: Path, decided_by: str, kept: bool
) -> None:
    """When it is back its answer is a record more, of the same key, and no frame more."""
    request = Request("attention", 3, (Payload("patches", b"of the frame"),), "net")

    def say(frame: Frame) -> Outcome:
        if decided_by == "none":
            raise Unanswered("cut", request)
        answer = Answer(np.eye(10, dtype=np.float32)[1], 1, decided_by, 2.0, note="cut")  # type: ignore[arg-type]
        assert math.isfinite(frame.deadline_s)
        return Outcome(answer, request)

    async def test() -> None:
        with Spool(tmp_path / "spool.db", 1 << 20, 60.0, "oldest") as spool:
            workplace.link, workplace.spool = There(), spool
            sink = Kept()
            lane = workplace.lane(Saying(say), sink, ask_later=True)
            (first,) = await ask(lane, due(photos[0]))
            assert spool.items == kept
            workplace.link.breaker = "closed"
            while spool.items:
                await asyncio.sleep(0.001)
            await end(lane)
            assert len(sink.records) == 1 + kept
            if kept:
                (asked,) = workplace.link.asked
                assert (asked.system, asked.model, asked.payloads) == (request.system, request.model, request.payloads)
                late = sink.records[1]
                assert isinstance(first, Record)
                assert (late.key, late.revises, late.decided_by) == (first.key, True, "server")
                assert (late.label, late.probability) == (workplace.bundle.classes[4], 1.0)

    run(test)
    assert workplace.state().frames == 1
