"""Driving generators over anything that answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import LinkLost
from edge_runtime.messages import Answer, Frame, Payload, Reply, Request
from edge_runtime.models.bundle import GateSpec
from edge_runtime.systems.attention import Attention
from edge_runtime.systems.driver import RETURN_MARGIN_S, drive
from edge_runtime.systems.local import Local
from edge_runtime.systems.remote import Remote

PROBABILITIES = np.array([[0.2, 0.7, 0.1]], np.float32)


def answer(_request: Request, _timeout_s: float) -> Reply:
    """A server that always says the same."""
    return Reply(PROBABILITIES, "server", {"decode": 0.0, "queue": 0.0, "compute": 0.0})


def lose(_request: Request, _timeout_s: float) -> Reply:
    """A server that is not there."""
    raise LinkLost("nobody there")


def two_rounds(rounds: int) -> Any:
    """A system that asks ``rounds`` times."""
    for number in range(rounds):
        reply = yield Request("test", number, (Payload("image", b""),))
    return Answer(reply.probabilities[0], 1, "server", 0.0)


def test_a_system_may_ask_more_than_once() -> None:
    """Each request gets its reply; the return value is the answer."""
    asked: list[int] = []

    def count(request: Request, timeout_s: float) -> Reply:
        asked.append(request.frame_id)
        return answer(request, timeout_s)

    assert drive(two_rounds(3), count).label == 1
    assert asked == [0, 1, 2]


def test_each_call_gets_what_is_left_of_the_deadline() -> None:
    """The time limit shrinks with the clock and keeps a margin to return in."""
    limits: list[float] = []
    now = iter([10.0, 10.4])

    def note(request: Request, timeout_s: float) -> Reply:
        limits.append(timeout_s)
        return answer(request, timeout_s)

    drive(two_rounds(2), note, deadline_s=11.0, clock=lambda: next(now))
    assert pytest.approx(limits) == [1.0 - RETURN_MARGIN_S, 0.6 - RETURN_MARGIN_S]


def test_a_deadline_in_the_past_gives_the_call_no_time(unsure: Any, gate: GateSpec, frame: Frame) -> None:
    """The limit is never negative; what the caller does with none is its business."""

    def refuse_without_time(_request: Request, timeout_s: float) -> Reply:
        assert timeout_s == 0
        raise LinkLost("no time left")

    found = drive(Attention(unsure, gate).infer(frame), refuse_without_time, deadline_s=0.0)
    assert found.decided_by == "edge-fallback"


def test_a_lost_link_reaches_the_system(unsure: Any, gate: GateSpec, frame: Frame) -> None:
    """The attention system falls back on the device's answer."""
    assert drive(Attention(unsure, gate).infer(frame), lose).decided_by == "edge-fallback"


def test_the_remote_system_has_nothing_to_fall_back_on(frame: Frame) -> None:
    """Without a device model the loss reaches the caller."""
    with pytest.raises(LinkLost, match="nobody there"):
        drive(Remote().infer(frame), lose)


@pytest.mark.parametrize("codec", ["jpeg", "webp", "png"])
def test_the_remote_system_returns_the_servers_answer(frame: Frame, codec: Any) -> None:
    """The whole photo travels in the codec asked for."""
    found = drive(Remote(codec).infer(frame), answer)
    assert (found.decided_by, found.label, found.patches_sent) == ("server", 1, 0)
    assert found.payload_bytes > 0


def test_the_local_system_asks_nobody(sure: Any, frame: Frame) -> None:
    """It answers even when there is no server."""
    assert (lambda a: (a.decided_by, a.label))(drive(Local(sure).infer(frame), lose)) == ("edge", 1)
