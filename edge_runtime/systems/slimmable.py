"""Slimmable ensemble encoders: reconstruction of Assine, Santos Filho, Valle and Levorato (WoWMoM 2023).

Up to four tiny encoders look at the frame, and their outputs add up to one latent, whose values are quantised to a few
levels, coded and sent; the server's one decoder takes it whatever was spent on it. A controller sets both knobs for
every frame. A network slimmable in its channels, the predecessor, takes the same way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from edge_runtime.errors import LinkError
from edge_runtime.messages import Payload, Request
from edge_runtime.systems.answers import server_answers
from edge_runtime.systems.driver import RETURN_MARGIN_S
from edge_runtime.systems.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_runtime.codecs.latents import LatentCodec
    from edge_runtime.messages import Frame, Mode
    from edge_runtime.systems import Inference
    from edge_runtime.systems.encoders import Encoders


class Controller(Protocol):
    """Whatever chooses modes, and learns from how they went; seconds are on the system's clock."""

    def choose(self, left_s: float, now: float) -> Mode:
        """A mode for a frame with so much time left."""

    def encoded(self, mode: Mode, taken_s: float) -> None:
        """Making and coding a frame's latent took so long."""

    def sent(self, size: int, now: float) -> None:
        """A payload of ``size`` bytes goes out."""

    def replied(self, timings_ms: Mapping[str, float], now: float) -> None:
        """It was answered; the server's times are the reply's."""

    def lost(self, now: float) -> None:
        """It was not."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same mode, whatever the link is like."""

    mode: Mode

    def choose(self, left_s: float, now: float) -> Mode:  # noqa: ARG002 - of `Controller`
        """That one."""
        return self.mode

    def encoded(self, mode: Mode, taken_s: float) -> None:
        """Learn nothing."""

    def sent(self, size: int, now: float) -> None:
        """Learn nothing."""

    def replied(self, timings_ms: Mapping[str, float], now: float) -> None:
        """Learn nothing."""

    def lost(self, now: float) -> None:
        """Learn nothing."""


class Slimmable:
    """Makes a latent in the mode that the controller chooses, sends it, takes the server's answer.

    ``model`` names the decoder; ``clock`` is that of the frames' deadlines. Encoders have no answer of their own: a
    lost link leaves none, the ``LinkError`` goes to the caller.
    """

    name = "slimmable"

    def __init__(
        self,
        encoders: Encoders,
        codec: LatentCodec,
        model: str,
        controller: Controller,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.encoders = encoders
        self.codec = codec
        self.model = model
        self.controller = controller
        self.clock = clock

    def infer(self, frame: Frame) -> Inference:
        """Send the frame's latent, return the server's answer."""
        now = self.clock()
        mode = self.controller.choose(frame.deadline_s - now - RETURN_MARGIN_S, now)
        stages = Stages()
        with stages("encoders"):
            latent = self.encoders.latent(frame, mode.encoders)
        with stages("encode"):
            payload = Payload("latent", self.codec.encode(latent, mode.encoders, mode.levels))
        self.controller.encoded(mode, sum(stages.taken_ms.values()) / 1e3)
        self.controller.sent(len(payload.data), self.clock())
        try:
            with stages("link"):
                reply = yield Request(self.name, frame.id, (payload,), self.model)
        except LinkError:
            self.controller.lost(self.clock())
            raise
        self.controller.replied(reply.timings_ms, self.clock())
        (answer,) = server_answers((payload,), reply, stages)
        return replace(answer, mode=mode)
