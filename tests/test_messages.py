"""Tests of edge_runtime.messages."""

from __future__ import annotations

import pytest

from edge_runtime.errors import ArgumentError
from edge_runtime.messages import Payload, Request


@pytest.mark.parametrize(
    ("payloads", "found"),
    [((), "none"), ((Payload("patches", b""), Payload("image", b"")), "image, patches")],
)
def test_a_request_has_frames_of_one_kind(payloads: tuple[Payload, ...], found: str) -> None:
    """None at all and several kinds are refused where the request is made."""
    with pytest.raises(ArgumentError, match=f"payloads: {found} in one request, give one or more payloads of one kind"):
        Request("test", 1, payloads)
