"""A source's queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.daemon.frames import Captured, Dropped
from edge_runtime.daemon.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from edge_runtime.daemon.config import Order, WhenFull


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run it; fails when it waits for ever."""
    asyncio.run(asyncio.wait_for(scenario, 20))


def frame(name: int) -> Captured:
    """A frame of that name."""
    return Captured(str(name), b"", 0.0)


async def taken(intake: Intake) -> str:
    """The next frame's name."""
    captured = await intake.take()
    assert captured is not None
    return captured.name


def reason(captured: Captured) -> str:
    """Why it was dropped, as both who wait are told."""
    told = (captured.answered.exception(), captured.recorded.exception())
    assert told[0] is told[1]
    assert isinstance(told[0], Dropped)
    return told[0].reason


@pytest.mark.parametrize(("order", "expected"), [("oldest", "012"), ("newest", "210")])
def test_frames_are_taken_in_the_order_asked_for(order: Order, expected: str) -> None:
    """The oldest for those who want all, the newest for those who want now."""

    async def scenario() -> None:
        intake = Intake(3, order, "wait", None, lambda _: None)
        for name in range(3):
            assert await intake.offer(frame(name))
        assert len(intake) == 3
        assert "".join([await taken(intake) for _ in range(3)]) == expected

    run(scenario())


def test_who_may_wait_waits_before_the_capture() -> None:
    """A source that asks for its turn captures when there is room and time, so its frame does not age in vain."""

    async def scenario() -> None:
        intake = Intake(1, "oldest", "wait", 20.0, lambda _: None)
        await intake.offer(frame(0))
        turn = asyncio.create_task(intake.turn())
        await asyncio.sleep(0.1)
        assert not turn.done()
        assert await taken(intake) == "0"
        await turn
        assert await asyncio.wait_for(intake.offer(frame(1)), 0.04)

    run(scenario())


@pytest.mark.parametrize(("when_full", "dropped", "left"), [("drop-oldest", 0, "12"), ("drop-newest", 2, "01")])
def test_a_full_queue_gives_up_a_frame_and_says_so(when_full: WhenFull, dropped: int, left: str) -> None:
    """To whoever waits for its answer, and to whoever counts."""

    async def scenario() -> None:
        counted: list[str] = []
        intake = Intake(2, "oldest", when_full, None, counted.append)
        frames = [frame(name) for name in range(3)]
        offered = [await intake.offer(one) for one in frames]
        assert offered == [True, True, dropped == 0]
        assert [one.answered.done() for one in frames] == [name == dropped for name in range(3)]
        assert (reason(frames[dropped]), counted) == ("full", ["full"])
        assert await taken(intake) + await taken(intake) == left

    run(scenario())


def test_where_frames_may_wait_the_source_does() -> None:
    """Until one was taken; nothing is given up."""

    async def scenario() -> None:
        intake = Intake(1, "oldest", "wait", None, pytest.fail)
        await intake.offer(frame(0))
        second = asyncio.create_task(intake.offer(frame(1)))
        await asyncio.sleep(0)
        assert not second.done()
        assert await taken(intake) == "0"
        assert await second
        assert await taken(intake) == "1"

    run(scenario())


def test_frames_that_come_too_soon_are_dropped_where_they_may_not_wait() -> None:
    """Four a second: spaced by the clock, not by how many there are."""

    async def scenario() -> None:
        now, counted = [100.0], []
        intake = Intake(8, "oldest", "drop-oldest", 4.0, counted.append, lambda: now[0])
        kept = []
        for name in range(8):
            captured = frame(name)
            if await intake.offer(captured):
                kept.append(name)
            else:
                assert reason(captured) == "rate"
            now[0] += 0.125
        assert (kept, counted) == ([0, 2, 4, 6], ["rate"] * 4)

    run(scenario())


def test_frames_that_come_too_soon_wait_for_their_turn_where_they_may() -> None:
    """And none is lost."""

    async def scenario() -> None:
        intake = Intake(8, "oldest", "wait", 50.0, pytest.fail)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for name in range(4):
            await intake.offer(frame(name))
        assert loop.time() - began_s >= 3 / 50
        assert len(intake) == 4

    run(scenario())


def test_who_takes_waits_for_a_frame() -> None:
    """Each frame goes to one of those who wait."""

    async def scenario() -> None:
        intake = Intake(2, "oldest", "wait", None, pytest.fail)
        takers = [asyncio.create_task(taken(intake)) for _ in range(2)]
        await asyncio.sleep(0)
        for name in range(2):
            await intake.offer(frame(name))
        assert sorted(await asyncio.gather(*takers)) == ["0", "1"]

    run(scenario())


def test_after_the_end_what_waits_can_still_be_taken() -> None:
    """Nothing new comes in, who waits for room is told, and who takes learns that there is no more."""

    async def scenario() -> None:
        counted: list[str] = []
        intake = Intake(1, "oldest", "wait", None, counted.append)
        await intake.offer(frame(0))
        waiting, late = frame(1), frame(2)
        offer = asyncio.create_task(intake.offer(waiting))
        await asyncio.sleep(0)
        await intake.close()
        assert not await offer
        assert not await intake.offer(late)
        assert (reason(waiting), reason(late), counted) == ("stopped", "stopped", ["stopped"] * 2)
        assert await taken(intake) == "0"
        assert await intake.take() is None

    run(scenario())


def test_the_end_reaches_those_who_wait_for_a_frame() -> None:
    """All of them."""

    async def scenario() -> None:
        intake = Intake(1, "oldest", "wait", None, pytest.fail)
        takers = [asyncio.create_task(intake.take()) for _ in range(3)]
        await asyncio.sleep(0)
        await intake.close()
        assert await asyncio.gather(*takers) == [None] * 3

    run(scenario())


@given(
    st.integers(1, 4),
    st.sampled_from(["oldest", "newest"]),
    st.sampled_from(["drop-oldest", "drop-newest"]),
    st.lists(st.booleans(), max_size=40),
)
def test_every_frame_is_taken_or_dropped_and_none_both(
    capacity: int, order: Order, when_full: WhenFull, steps: list[bool]
) -> None:
    """Whatever comes and goes, no more than the capacity wait."""

    async def scenario() -> None:
        counted: list[str] = []
        intake = Intake(capacity, order, when_full, None, counted.append)
        offered: list[Captured] = []
        took: list[Captured | None] = []
        for comes in steps:
            if comes:
                offered.append(frame(len(offered)))
                await intake.offer(offered[-1])
            elif len(intake):
                took.append(await intake.take())
            assert len(intake) <= capacity
        await intake.close()
        while captured := await intake.take():
            took.append(captured)
        dropped = [one for one in offered if one.answered.done()]
        assert len(dropped) == len(counted)
        assert {id(one) for one in took} | {id(one) for one in dropped} == {id(one) for one in offered}
        assert len(took) + len(dropped) == len(offered)

    run(scenario())
