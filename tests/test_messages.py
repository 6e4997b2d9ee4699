"""Tests of edge_runtime.messages."""

from __future__ import annotations

import pytest

from edge_runtime.errors import ArgumentError
from edge_runtime.messages import Payload, Request, SecondRound


@pytest.mark.parametrize(
    ("payloads", "found"),
    [((), "none"), ((Payload("patches", b""), Payload("image", b"")), "image, patches")],
)
def test_a_request_has_frames_of_one_kind(payloads: tuple[Payload, ...], found: str) -> None:
    """None at all and several kinds are refused where the request is made."""
    with pytest.raises(ArgumentError, match=f"payloads: {found} in one request, give one or more payloads of one kind"):
        Request("test", 1, payloads)


def test_a_second_round_is_about_one_frame() -> None:
    """The server could not say whose patches it wants."""
    with pytest.raises(ArgumentError, match="second: a round of 2 frames, ask about one frame at a time"):
        Request("test", 1, (Payload("image", b""),) * 2, second=SecondRound(1, 0.5))


@pytest.mark.parametrize(
    ("patches", "below", "message"),
    [
        (0, 0.5, "patches: 0 in a second round, give 1..65536"),
        (65537, 0.5, "patches: 65537 in a second round"),
        (1, -0.1, "below: -0.1 is no probability, give 0..1"),
        (1, 1.5, "below: 1.5 is no probability"),
        (1, float("nan"), "below: nan is no probability"),
    ],
)
def test_a_second_round_has_sensible_limits(patches: int, below: float, message: str) -> None:
    """Limits that came over the wire are checked where the words are made."""
    with pytest.raises(ArgumentError, match=message):
        SecondRound(patches, below)
