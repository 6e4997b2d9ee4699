"""From a captured frame to its record at the sinks, whatever fails on the way."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from edge_runtime.daemon.answering import OneByOne, Outcome, Unanswered
from edge_runtime.daemon.frames import Record
from edge_runtime.daemon.link import NoLink
from edge_runtime.errors import ModelError, SourceError
from edge_runtime.messages import Frame
from edge_runtime.systems.edge import EdgeModel
from edge_runtime.systems.local import Local

if TYPE_CHECKING:
    from edge_runtime.models import Bundle


def test_every_frame_has_one_record_at_every_sink(workplace: Any, zoo: Bundle, photos: list[bytes]) -> None:
    """With a real model, several under way at once, and more than the queue holds."""

    async def test() -> None:
        sinks = workplace.sink(), workplace.sink()
        with ThreadPoolExecutor(1) as models:
            lane = await workplace.lane(OneByOne(Local(EdgeModel(zoo)), NoLink(), models), *sinks, queue=2)
            frames = [workplace.due(photos[number % 4], f"{number}.jpg") for number in range(16)]
            records = await workplace.ask(lane, *frames)
            await workplace.end(lane)
        assert [record.name for record in records] == [frame.name for frame in frames]
        for sink in sinks:
            assert sorted(record.key for record in sink.records) == sorted(frame.key for frame in frames)
        assert [frame.answered.result() for frame in frames] == records

    asyncio.run(test())
    assert workplace.state().frames == workplace.state().answers["edge"] == 16
    assert len(workplace.recent.since(0)) >= 1


def test_an_answer_after_the_deadline_is_late(workplace: Any, photos: list[bytes]) -> None:
    """It is given all the same, and counted."""

    async def test() -> None:
        lane = await workplace.lane(workplace.saying(workplace.sure))
        (record,) = await workplace.ask(lane, workplace.due(photos[0], due_s=-1.0))
        await workplace.end(lane)
        assert isinstance(record, Record)
        assert (record.label, record.in_time) == (workplace.bundle.classes[1], False)

    asyncio.run(test())
    assert workplace.state().late == 1


def test_a_frame_that_nobody_could_answer_has_a_record_too(workplace: Any, photos: list[bytes]) -> None:
    """Without label, and never in time."""

    def lose(_: Frame) -> Outcome:
        raise Unanswered("there: cut", None)

    async def test() -> None:
        sink = workplace.sink()
        lane = await workplace.lane(workplace.saying(lose), sink)
        (record,) = await workplace.ask(lane, workplace.due(photos[0]))
        await workplace.end(lane)
        assert [record] == sink.records
        assert isinstance(record, Record)
        assert (record.decided_by, record.label, record.probability) == ("none", None, 0.0)
        assert (record.why, record.in_time, record.min_entropy) == ("there: cut", False, None)

    asyncio.run(test())
    assert workplace.state().answers == {"none": 1}


@pytest.mark.parametrize("error", [ModelError("net: did not run"), ZeroDivisionError("of ours")])
def test_a_model_that_raises_fails_its_frame_only(workplace: Any, photos: list[bytes], error: Exception) -> None:
    """The record says why, the lane that frames go wrong until one goes well, and the log has the reason."""

    def say(frame: Frame) -> Outcome:
        if frame.id == 0:
            raise error
        return workplace.sure(frame)

    async def test() -> None:
        lane = await workplace.lane(workplace.saying(say))
        (failed,) = await workplace.ask(lane, workplace.due(photos[0], "bad.jpg"))
        assert isinstance(failed, Record)
        assert (failed.decided_by, failed.label, failed.why) == ("none", None, str(error))
        assert lane.fault.endswith(f"cannot be answered: {error}")
        (record,) = await workplace.ask(lane, workplace.due(photos[0]))
        assert isinstance(record, Record)
        assert (record.decided_by, lane.fault) == ("edge", "")
        await workplace.end(lane)
        assert lane.state().in_flight == 0

    with capture_logs() as logs:
        asyncio.run(test())
    assert [one["log_level"] for one in logs] == ["warning"]


def test_no_more_frames_are_under_way_than_suit_the_system(workplace: Any, photos: list[bytes]) -> None:
    """The others wait in the queue, and the state tells both."""

    async def test() -> None:
        answering = workplace.saying(workplace.sure)
        answering.open.clear()
        lane = await workplace.lane(answering, in_flight=3)
        frames = [workplace.due(photos[0]) for _ in range(8)]
        for captured in frames:
            await lane.intake.offer(captured)
        while answering.under_way < 3 or len(lane.intake) < 5:
            await asyncio.sleep(0)
        assert (lane.state().in_flight, lane.state().queued) == (3, 5)
        answering.open.set()
        await asyncio.gather(*(captured.recorded for captured in frames))
        await workplace.end(lane)
        assert answering.most_under_way == 3

    asyncio.run(test())


def test_what_was_captured_is_answered_before_the_lane_ends(workplace: Any, photos: list[bytes]) -> None:
    """Stopping takes no more frames; draining waits for those that wait, then closes the system."""

    async def test() -> None:
        answering, sink = workplace.saying(workplace.sure), workplace.sink()
        answering.open.clear()
        lane = await workplace.lane(answering, sink, in_flight=1)
        frames = [workplace.due(photos[0]) for _ in range(5)]
        for captured in frames:
            await lane.intake.offer(captured)
        await lane.stop_feeding()
        assert not await lane.intake.offer(workplace.due(photos[0]))
        draining = asyncio.create_task(lane.drain())
        await asyncio.sleep(0)
        assert not answering.closed
        answering.open.set()
        await draining
        assert answering.closed
        assert len(sink.records) == 5

    asyncio.run(test())
    assert workplace.state().dropped == {"stopped": 1}


def test_who_waits_for_the_answer_does_not_wait_for_the_sinks(workplace: Any, photos: list[bytes]) -> None:
    """A slow sink delays the record alone."""

    async def test() -> None:
        sink = workplace.sink()
        sink.open.clear()
        lane = await workplace.lane(workplace.saying(workplace.sure), sink)
        captured = workplace.due(photos[0])
        await lane.intake.offer(captured)
        await captured.answered
        assert not captured.recorded.done()
        sink.open.set()
        assert await captured.recorded is captured.answered.result()
        await workplace.end(lane)

    asyncio.run(test())


def test_a_sink_that_loses_a_record_costs_neither_frame_nor_other_sinks(workplace: Any, photos: list[bytes]) -> None:
    """It has counted that itself."""

    async def test() -> None:
        bad, good = workplace.sink("disk full"), workplace.sink()
        lane = await workplace.lane(workplace.saying(workplace.sure), bad, good)
        (record,) = await workplace.ask(lane, workplace.due(photos[0]))
        await workplace.end(lane)
        assert good.records == [record]

    asyncio.run(test())


def test_a_caller_that_has_gone_leaves_its_photo_to_be_recorded(workplace: Any, photos: list[bytes]) -> None:
    """A client's patience ends before the answer, and the answer is worth as much."""

    async def test() -> None:
        sink = workplace.sink()
        lane = await workplace.lane(workplace.saying(workplace.sure), sink)
        captured = workplace.due(photos[0])
        captured.answered.cancel()
        assert await workplace.ask(lane, captured) == sink.records
        assert len(sink.records) == 1
        await workplace.end(lane)

    asyncio.run(test())


@pytest.mark.parametrize(
    ("ends", "trouble"),
    [(SourceError("cam: no such device"), "cam: no such device"), (KeyError("ours"), "gate: KeyError('ours')")],
)
def test_a_source_that_ends_is_a_trouble_of_the_lane(
    workplace: Any, photos: list[bytes], ends: Exception, trouble: str
) -> None:
    """What waits is answered all the same."""

    async def test() -> None:
        workplace.source = workplace.idle(ends)
        lane = await workplace.lane(workplace.saying(workplace.sure))
        while not lane.trouble:
            await asyncio.sleep(0)
        assert lane.trouble == trouble
        assert isinstance((await workplace.ask(lane, workplace.due(photos[0])))[0], Record)
        await workplace.end(lane)

    with capture_logs() as logs:
        asyncio.run(test())
    assert [one["source"] for one in logs if one["log_level"] == "error"] == ["gate"]


def test_a_sources_own_trouble_shows_while_it_lasts(workplace: Any) -> None:
    """A folder may come back."""

    async def test() -> None:
        lane = await workplace.lane(workplace.saying(workplace.sure))
        workplace.source.trouble = "in: is gone"
        assert lane.trouble == "in: is gone"
        workplace.source.trouble = ""
        assert lane.trouble == ""
        await workplace.end(lane)

    asyncio.run(test())
