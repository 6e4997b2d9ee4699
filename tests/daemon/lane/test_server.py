"""What a lane does with a server beside its answers: audits, and questions that are asked later."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_runtime.daemon.answering import Outcome, Unanswered
from edge_runtime.daemon.frames import Record
from edge_runtime.errors import LinkLost
from edge_runtime.messages import Answer, Frame, Payload, Reply, Request
from edge_runtime.transport.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path


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


def test_audits_are_offered_what_was_answered(workplace: Any, photos: list[bytes]) -> None:
    """Once the record is made; draining ends what is under way."""

    async def test() -> None:
        workplace.link = link = There()
        link.breaker = "closed"
        lane = await workplace.lane(workplace.saying(workplace.sure), audit=1.0)
        await workplace.ask(lane, workplace.due(photos[0]))
        while not workplace.state().audits:
            await asyncio.sleep(0)
        await workplace.end(lane)
        assert [request.system for request in link.asked] == ["remote"]

    asyncio.run(test())
    assert workplace.state().audits == {"disagreed": 1}


@pytest.mark.parametrize(
    ("decided_by", "kept"), [("edge-fallback", True), ("none", True), ("best-effort", False), ("edge", False)]
)
def test_what_the_server_should_have_been_asked_is_kept(
    workplace: Any, photos: list[bytes], tmp_path: Path, decided_by: str, kept: bool
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
            sink = workplace.sink()
            lane = await workplace.lane(workplace.saying(say), sink, ask_later=True)
            (first,) = await workplace.ask(lane, workplace.due(photos[0]))
            assert spool.items == kept
            workplace.link.breaker = "closed"
            while spool.items:
                await asyncio.sleep(0.001)
            await workplace.end(lane)
            assert len(sink.records) == 1 + kept
            if kept:
                (asked,) = workplace.link.asked
                assert (asked.system, asked.model, asked.payloads) == (request.system, request.model, request.payloads)
                late = sink.records[1]
                assert isinstance(first, Record)
                assert (late.key, late.revises, late.decided_by) == (first.key, True, "server")
                assert (late.label, late.probability) == (workplace.bundle.classes[4], 1.0)

    asyncio.run(test())
    assert workplace.state().frames == 1
