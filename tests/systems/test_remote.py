"""The server alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.errors import ArgumentError, LinkLost
from edge_runtime.systems.driver import drive
from edge_runtime.systems.remote import Remote
from server_ref.backend import Backend

if TYPE_CHECKING:
    from edge_runtime.messages import Frame
    from edge_runtime.models import Bundle


def test_a_batch_travels_in_one_request(frames: list[Frame]) -> None:
    """One file per frame, in their order, under the first one's number."""
    request = next(Remote("png", model="net").infer_batch(frames))
    alone = [next(Remote("png").infer(frame)).payloads for frame in frames]
    assert (request.frame_id, request.model) == (20, "net")
    assert [(payload,) for payload in request.payloads] == alone


def test_a_batch_is_answered_as_its_frames_are(split_bundle: Bundle, frames: list[Frame]) -> None:
    """The tiny network's server gives every frame the probabilities that it gives it alone."""
    backend = Backend.open(split_bundle)
    together = drive(Remote("png").infer_batch(frames), lambda request, _: backend.answer(request))
    alone = [drive(Remote("png").infer(frame), lambda request, _: backend.answer(request)) for frame in frames]
    assert [answer.label for answer in together] == [answer.label for answer in alone] == [0, 1, 2]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)
        assert (one.decided_by, one.payload_bytes) == ("server", other.payload_bytes)
        assert one.min_entropy == pytest.approx(other.min_entropy, abs=1e-5)
        assert one.timings_ms == together[0].timings_ms


def test_a_lost_link_leaves_no_answers(frames: list[Frame]) -> None:
    """The error goes to the caller."""
    inference = Remote().infer_batch(frames)
    next(inference)
    with pytest.raises(LinkLost, match="gone"):
        inference.throw(LinkLost("gone"))


def test_no_frames_are_no_batch() -> None:
    """They are an error, told before anything is sent."""
    with pytest.raises(ArgumentError, match="frames: none given, give one or more"):
        next(Remote().infer_batch([]))
