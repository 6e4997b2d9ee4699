"""The slimmable system, driven by hand and against the server's handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.errors import LinkLost, ServerRefused
from edge_runtime.messages import Frame, Mode, Reply
from edge_runtime.systems.driver import RETURN_MARGIN_S, drive
from edge_runtime.systems.encoders import Encoders
from edge_runtime.systems.slimmable import Fixed, Slimmable
from server_ref.backend import Backend

if TYPE_CHECKING:
    from edge_runtime.models import Bundle
    from edge_runtime.systems.slimmable import Controller

REPLY = Reply(np.array([[0.1, 0.1, 0.8]], np.float32), "decoder", {"decode": 1.0, "queue": 2.0, "compute": 3.0})


class Told:
    """A controller that gives modes in their order and remembers what it was told."""

    def __init__(self, *modes: Mode) -> None:
        self.modes = list(modes)
        self.events: list[tuple[Any, ...]] = []

    def choose(self, left_s: float, now: float) -> Mode:
        """The next mode."""
        self.events.append(("choose", left_s, now))
        return self.modes.pop(0)

    def encoded(self, mode: Mode, taken_s: float) -> None:
        """Remember."""
        assert 0 < taken_s < 1
        self.events.append(("encoded", mode))

    def sent(self, size: int, now: float) -> None:
        """Remember."""
        self.events.append(("sent", size, now))

    def replied(self, timings_ms: Any, now: float) -> None:
        """Remember."""
        self.events.append(("replied", dict(timings_ms), now))

    def lost(self, now: float) -> None:
        """Remember."""
        self.events.append(("lost", now))


def system(bundle: Bundle, controller: Controller, family: str = "", clock: Any = lambda: 100.0) -> Slimmable:
    """The system with the tiny bundle's encoders."""
    spec = bundle.latent(family)
    codec = LatentCodec.load(bundle.read(spec.tables))
    return Slimmable(Encoders(bundle, spec), codec, spec.decoder, controller, clock)


def coloured(channel: int, deadline_s: float = float("inf")) -> Frame:
    """A frame of one colour, but for noise."""
    pixels = np.random.default_rng(channel).integers(0, 120, (32, 32, 3), np.uint8)
    pixels[..., channel] += 100
    return Frame(7 + channel, pixels, deadline_s)


def test_the_latent_travels_and_the_server_decides(latent_bundle: Bundle) -> None:
    """The request names the decoder and carries the latent in the mode chosen; the answer says which that was."""
    inference = system(latent_bundle, Fixed(Mode(3, 6))).infer(coloured(0))
    request = next(inference)
    with pytest.raises(StopIteration) as stop:
        inference.send(REPLY)
    answer = stop.value.value

    (payload,) = request.payloads
    assert (request.system, request.frame_id, request.model) == ("slimmable", 7, "ensemble-decoder")
    assert payload.kind == "latent"
    spec = latent_bundle.latent()
    latent = Encoders(latent_bundle, spec).latent(coloured(0), 3)
    assert payload.data == LatentCodec.load(latent_bundle.read(spec.tables)).encode(latent, 3, 6)
    assert (answer.decided_by, answer.label, answer.mode) == ("server", 2, Mode(3, 6))
    assert answer.payload_bytes == len(payload.data)
    assert set(answer.timings_ms) == {"encoders", "encode", "link", "server_decode", "server_queue", "server_compute"}


def test_the_controller_is_asked_and_told(latent_bundle: Bundle) -> None:
    """What is left of the deadline before the frame, then all that happened to it, each at its time."""
    times = iter((100.0, 101.0, 102.0))
    controller = Told(Mode(2, 4))
    inference = system(latent_bundle, controller, clock=lambda: next(times)).infer(coloured(0, 100.5))
    (payload,) = next(inference).payloads
    with pytest.raises(StopIteration):
        inference.send(REPLY)
    assert controller.events == [
        ("choose", pytest.approx(0.5 - RETURN_MARGIN_S), 100.0),
        ("encoded", Mode(2, 4)),
        ("sent", len(payload.data), 101.0),
        ("replied", dict(REPLY.timings_ms), 102.0),
    ]


@pytest.mark.parametrize("error", [LinkLost("gone"), ServerRefused("no")])
def test_a_lost_link_leaves_no_answer(latent_bundle: Bundle, error: Exception) -> None:
    """Encoders cannot answer: the error goes to the caller, and the controller hears of it."""
    controller = Told(Mode(1, 2))
    inference = system(latent_bundle, controller).infer(coloured(0))
    next(inference)
    with pytest.raises(type(error), match=str(error)):
        inference.throw(error)
    assert controller.events[-1] == ("lost", 100.0)


@pytest.mark.parametrize("family", ["ensemble", "widths"])
@pytest.mark.parametrize("levels", [4, 16])
def test_encoders_and_decoder_tell_colours_apart(latent_bundle: Bundle, family: str, levels: int) -> None:
    """Through the codec, with all encoders or the widest."""
    backend = Backend.open(latent_bundle)
    running = system(latent_bundle, Fixed(Mode(4, levels)), family)
    answers = [drive(running.infer(coloured(i)), lambda request, _: backend.answer(request)) for i in range(3)]
    assert [answer.label for answer in answers] == [0, 1, 2]


def test_every_frame_has_a_mode_of_its_own(latent_bundle: Bundle) -> None:
    """The same server answers whatever was chosen; the answers are those of fixed modes."""
    backend = Backend.open(latent_bundle)
    modes = [Mode(1, 2), Mode(4, 16), Mode(2, 3), Mode(3, 12)]
    changing = system(latent_bundle, Told(*modes))
    for mode in modes:
        fixed = system(latent_bundle, Fixed(mode))
        found, wanted = (
            drive(one.infer(coloured(1)), lambda request, _: backend.answer(request)) for one in (changing, fixed)
        )
        assert (found.mode, found.payload_bytes) == (mode, wanted.payload_bytes)
        np.testing.assert_array_equal(found.probabilities, wanted.probabilities)
