"""The server alone: every frame goes out whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.codecs import image
from edge_runtime.errors import ArgumentError
from edge_runtime.messages import Payload, Request
from edge_runtime.systems.answers import server_answers
from edge_runtime.systems.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.codecs.image import ImageCodec
    from edge_runtime.messages import Frame
    from edge_runtime.systems import BatchInference, Inference


class Remote:
    """Sends every frame as one image file. A lost link leaves no answer: the ``LinkError`` goes to the caller."""

    name = "remote"

    def __init__(self, codec: ImageCodec = "jpeg", quality: int = 75, model: str = "") -> None:
        self.codec: ImageCodec = codec
        self.quality = quality
        self.model = model

    def infer(self, frame: Frame) -> Inference:
        """Send the frame, return the server's answer."""
        (answer,) = yield from self.infer_batch([frame])
        return answer

    def infer_batch(self, frames: Sequence[Frame]) -> BatchInference:
        """Send the frames in one request, return the server's answers in their order; ArgumentError for no frames."""
        if not frames:
            raise ArgumentError("frames: none given, give one or more")
        stages = Stages()
        with stages("encode"):
            payloads = tuple(Payload("image", image.encode(frame.pixels, self.codec, self.quality)) for frame in frames)
        with stages("link"):
            reply = yield Request(self.name, frames[0].id, payloads, self.model)
        return server_answers(payloads, reply, stages)
