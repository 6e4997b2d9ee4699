"""The split system, driven by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_runtime.codecs.features import FeatureCodec, HalfEncoder, UniformEncoder
from edge_runtime.errors import ArgumentError, LinkLost
from edge_runtime.messages import Frame, Reply
from edge_runtime.systems.driver import drive
from edge_runtime.systems.edge import PrefixModel
from edge_runtime.systems.split import LinkState, Split, byte_budget
from server_ref.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.models import Bundle

FIVE_MBIT = LinkState(5e6 / 8, 0.02)


class Reds:
    """A prefix whose features are the red channel."""

    def features(self, frames: Sequence[Frame]) -> np.ndarray:
        """float32 [frames, 64, 64]: whoever sends them knows their shape as maps'."""
        return np.stack([frame.pixels[..., 0] for frame in frames]).astype(np.float32)


class Half:
    """A codec that writes float16, and remembers what it was asked for."""

    shape = (1, 64, 64)

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def encode(self, features: np.ndarray, quality: int) -> bytes:
        """All values, whatever the quality."""
        assert features.shape == self.shape
        self.asked.append(("quality", quality))
        return features.astype(np.float16).tobytes()

    def encode_within(self, features: np.ndarray, budget: int) -> bytes:
        """As many values as fit."""
        self.asked.append(("budget", budget))
        return features.astype(np.float16).tobytes()[:budget]


def reply(count: int = 1) -> Reply:
    """A server that is sure of class 2 and took 30 ms."""
    probabilities = np.array([[0.1, 0.1, 0.8]] * count, np.float32)
    return Reply(probabilities, "net.cut", {"decode": 5.0, "queue": 5.0, "compute": 20.0})


def finish(inference: Any, count: int = 1) -> Any:
    """Hand the reply over and take the answer, or those of a batch."""
    with pytest.raises(StopIteration) as stop:
        inference.send(reply(count))
    return stop.value.value


def test_the_features_travel_and_the_server_decides(frame: Frame) -> None:
    """The request names the suffix and carries the encoded map; the answer records bytes and every stage."""
    inference = Split(Reds(), Half(), "net.cut", quality=60).infer(frame)
    request = next(inference)
    answer = finish(inference)

    (payload,) = request.payloads
    assert (payload.kind, request.model) == ("features", "net.cut")
    assert payload.data == frame.pixels[..., 0].astype(np.float16).tobytes()
    assert (answer.decided_by, answer.label, answer.payload_bytes) == ("server", 2, 64 * 64 * 2)
    assert set(answer.timings_ms) == {"prefix", "encode", "link", "server_decode", "server_queue", "server_compute"}
    assert answer.min_entropy == pytest.approx(-math.log2(0.8))


def test_a_lost_link_leaves_no_answer(frame: Frame) -> None:
    """Half of a network cannot answer: the error goes to the caller."""
    inference = Split(Reds(), Half(), "net.cut", quality=60).infer(frame)
    next(inference)
    with pytest.raises(LinkLost, match="gone"):
        inference.throw(LinkLost("gone"))


def test_quality_and_budget_are_the_codecs(frame: Frame) -> None:
    """Each frame is encoded at the quality, or within the budget, that the system was given."""
    codec = Half()
    next(Split(Reds(), codec, "net.cut", quality=60).infer(frame))
    next(Split(Reds(), codec, "net.cut", budget=1000).infer(frame))

    assert codec.asked == [("quality", 60), ("budget", 1000)]


def test_a_known_link_gives_every_frame_its_own_budget() -> None:
    """What the deadline leaves for the link counts, less what the last answer's stages took."""
    codec = Half()
    system = Split(Reds(), codec, "net.cut", link=FIVE_MBIT, clock=lambda: 100.0)
    pixels = np.zeros((64, 64, 3), np.uint8)
    for deadline_s in (100.13, 100.13, 100.03, math.inf):
        inference = system.infer(Frame(0, pixels, deadline_s))
        next(inference)
        finish(inference)
    first, second, too_soon, endless = (budget for _, budget in codec.asked)

    assert first == pytest.approx(0.1 * 5e6 / 8 - 248, abs=1)
    # The server's 30 ms, the reply's 12 bytes, and however long encoding took here.
    assert 0 < second <= 0.07 * 5e6 / 8 - 260 + 1
    assert too_soon == 0
    assert endless > 10**9


def test_a_batch_travels_in_one_request(frames: list[Frame]) -> None:
    """All maps at once, in the frames' order; each answer knows its own bytes, and the stages are the batch's."""
    inference = Split(Reds(), Half(), "net.cut", quality=60).infer_batch(frames)
    request = next(inference)
    answers = finish(inference, 3)

    assert (request.frame_id, request.model) == (20, "net.cut")
    reds = [frame.pixels[..., 0].astype(np.float16).tobytes() for frame in frames]
    assert [payload.data for payload in request.payloads] == reds
    assert [answer.payload_bytes for answer in answers] == [64 * 64 * 2] * 3
    assert all(answer.timings_ms == answers[0].timings_ms for answer in answers)
    assert answers[0].timings_ms["server_compute"] == 20.0


def test_frames_of_a_batch_share_what_the_link_carries() -> None:
    """A third each of what the earliest deadline leaves; a smaller batch then expects a third of the stage times."""
    codec = Half()
    system = Split(Reds(), codec, "net.cut", link=FIVE_MBIT, clock=lambda: 100.0)
    pixels = np.zeros((64, 64, 3), np.uint8)
    inference = system.infer_batch([Frame(i, pixels, 100.13 + i) for i in range(3)])
    next(inference)
    finish(inference, 3)
    next(system.infer(Frame(3, pixels, 100.13)))
    *shared, alone = (budget for _, budget in codec.asked)

    assert shared == [pytest.approx((0.1 * 5e6 / 8 - 240 - 3 * 8) / 3, abs=1)] * 3
    # A third of the server's 30 ms and of however long encoding took here.
    assert 0.05 * 5e6 / 8 < alone <= 0.09 * 5e6 / 8 - 260 + 1


def test_each_frame_of_a_batch_has_the_budget_that_was_given(frames: list[Frame]) -> None:
    """A given budget is a frame's, however many travel together."""
    codec = Half()
    next(Split(Reds(), codec, "net.cut", budget=1000).infer_batch(frames))
    assert codec.asked == [("budget", 1000)] * 3


def test_no_frames_are_no_batch(split_bundle: Bundle) -> None:
    """They are an error, told before anything is sent."""
    codec = FeatureCodec.load(split_bundle.read(split_bundle.split().tables))
    system = Split(PrefixModel(split_bundle), codec, split_bundle.split().suffix, quality=90)
    with pytest.raises(ArgumentError, match="frames: none given, give one or more"):
        next(system.infer_batch([]))


@pytest.mark.parametrize("codec", ["ff", "half", "uniform"])
def test_a_batch_is_answered_as_its_frames_are(split_bundle: Bundle, frames: list[Frame], codec: str) -> None:
    """The tiny network's server gives every frame the probabilities that it gives it alone, whatever packs its map."""
    ff = FeatureCodec.load(split_bundle.read(split_bundle.split().tables))
    encoder = {"ff": ff, "half": HalfEncoder(ff.shape), "uniform": UniformEncoder(ff.shape, 8)}[codec]
    system = Split(PrefixModel(split_bundle), encoder, split_bundle.split().suffix, quality=90)
    backend = Backend.open(split_bundle)
    together = drive(system.infer_batch(frames), lambda request, _: backend.answer(request))
    alone = [drive(system.infer(frame), lambda request, _: backend.answer(request)) for frame in frames]

    assert [answer.label for answer in together] == [answer.label for answer in alone] == [0, 1, 2]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
        assert (one.min_entropy, one.payload_bytes) == (pytest.approx(other.min_entropy, abs=1e-4), other.payload_bytes)


@pytest.mark.parametrize("given", [{}, {"quality": 50, "budget": 100}, {"budget": 100, "link": FIVE_MBIT}])
def test_one_thing_rules_the_size(given: dict[str, Any]) -> None:
    """None or two of quality, budget and link are an error that names them."""
    with pytest.raises(ArgumentError, match=r"quality, budget, link: .* give exactly one"):
        Split(Reds(), Half(), "net.cut", **given)


def test_a_budget_is_some_bytes() -> None:
    """None at all are refused."""
    with pytest.raises(ArgumentError, match="budget: 0 bytes hold no map"):
        Split(Reds(), Half(), "net.cut", budget=0)


def test_byte_budget_is_what_the_deadline_leaves() -> None:
    """Bandwidth times what is left of the deadline, less the other bytes, and never negative."""
    assert byte_budget(LinkState(1e6, 0.02), 0.1, 0.01, 0.03) == pytest.approx(40_000, abs=1)
    assert byte_budget(LinkState(1e6, 0.02), 0.1, 0.01, 0.03, 1_000) == pytest.approx(39_000, abs=1)
    assert byte_budget(LinkState(1e6, 0.02), 0.03, 0.01, 0.03) == 0
