"""The server alone: every frame goes out whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.codecs import image
from edge_runtime.messages import Answer, Payload, Request
from edge_runtime.systems.stages import Stages

if TYPE_CHECKING:
    from edge_runtime.codecs.image import ImageCodec
    from edge_runtime.messages import Frame
    from edge_runtime.systems import Inference


class Remote:
    """Sends every frame as one image file. A lost link leaves no answer: the ``LinkError`` goes to the caller."""

    name = "remote"

    def __init__(self, codec: ImageCodec = "jpeg", quality: int = 75, model: str = "") -> None:
        self.codec: ImageCodec = codec
        self.quality = quality
        self.model = model

    def infer(self, frame: Frame) -> Inference:
        """Send the frame, return the server's answer."""
        stages = Stages()
        with stages("encode"):
            payload = Payload("image", image.encode(frame.pixels, self.codec, self.quality))
        with stages("link"):
            reply = yield Request(self.name, frame.id, (payload,), self.model)
        stages.add_server(reply.timings_ms)
        probabilities = reply.probabilities[0]
        best = int(probabilities.argmax())
        doubt = float(-np.log2(probabilities[best]))
        return Answer(
            probabilities,
            best,
            "server",
            doubt,
            payload_bytes=len(payload.data),
            timings_ms=stages.taken_ms,
        )
