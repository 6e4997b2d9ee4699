"""What else could be sent instead of two rounds: systems that the plane of ``evaluate --system amot`` compares.

Some would need a server of their own; they ask ours in a way that gives the same answer, and their answers' payload
bytes are what would have been sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import image, patches, requested, samples
from edge_runtime.messages import Payload, Request, SecondRound
from edge_runtime.systems.answers import server_answer
from edge_runtime.systems.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from edge_runtime.messages import Answer, Frame, Reply
    from edge_runtime.models.bundle import FrameSpec
    from edge_runtime.systems import Inference
    from edge_runtime.systems.amot import Fixed

    Pixels = NDArray[np.uint8]


class DownSampled:
    """The whole photo as a WebP file of ``side`` pixels, which the server samples up again.

    Ours takes frames of one size, so the device samples up what the server would have decoded and sends it losslessly.
    """

    name = "down-sampled"

    def __init__(self, side: int, quality: int, model: str) -> None:
        self.side = side
        self.quality = quality
        self.model = model

    def infer(self, frame: Frame) -> Inference:
        """The server's answer; the payload is the small file."""
        height, width, _ = frame.pixels.shape
        data = image.encode(kernels.resize(frame.pixels, (self.side, self.side)), "webp", self.quality)
        decoded = kernels.resize(np.ascontiguousarray(image.decode(data, self.side)), (height, width))
        reply = yield Request(self.name, frame.id, (Payload("image", image.encode(decoded, "png")),), self.model)
        return server_answer(reply.probabilities[0], len(data), Stages())


@dataclass(frozen=True)
class _Sampling:
    """Patches of a frame as the seed chooses them: the same that `Amot` sends."""

    frame: FrameSpec
    pattern: kernels.Pattern
    plan: Fixed
    model: str

    @property
    def grid(self) -> tuple[int, int]:
        return self.frame.grid, self.frame.grid

    def sample(self, frame: Frame) -> NDArray[np.uint16]:
        return kernels.sample(self.pattern, self.grid, self.plan.first, frame.id % 2**32)

    def gather(self, frame: Frame, indices: NDArray[np.uint16]) -> Pixels:
        return kernels.gather(frame.pixels, indices, self.frame.patch)

    def send_patches(self, frame: Frame, indices: NDArray[np.uint16]) -> Generator[Request, Reply, Answer]:
        """The answer to these patches, their places sent along."""
        chosen = self.gather(frame, indices)
        data = patches.encode(chosen, indices, self.grid, self.plan.codec, self.plan.quality)
        reply = yield Request("visible-patches", frame.id, (Payload("patches", data),), self.model)
        answer = server_answer(reply.probabilities[0], len(data), Stages())
        return replace(answer, patches_sent=len(indices))


class VisiblePatches(_Sampling):
    """Blind patches for a model that makes do with them: nothing is recovered, nothing asked for."""

    name = "visible-patches"

    def infer(self, frame: Frame) -> Inference:
        """The server's answer."""
        return (yield from self.send_patches(frame, self.sample(frame)))


class FullSecondRound(_Sampling):
    """Two rounds whose second one recovers and classifies anew: MOT (Liu et al., ICC 2023), reconstructed.

    Our server does that with a frame that it does not remember, so the second request has all patches; the payload is
    those that were asked for.
    """

    name = "mot"

    def infer(self, frame: Frame) -> Inference:
        """The server's answer, the second where it asked."""
        plan = self.plan
        sampled = self.sample(frame)
        chosen = self.gather(frame, sampled)
        data = samples.encode(chosen, self.grid, self.pattern, frame.id % 2**32, plan.codec, plan.quality)
        second = SecondRound(plan.second, plan.below)
        reply = yield Request(self.name, frame.id, (Payload("samples", data),), self.model, second)
        if reply.ask is None:
            answer = server_answer(reply.probabilities[0], len(data), Stages())
            return replace(answer, patches_sent=len(sampled))
        wanted = self.gather(frame, reply.ask.indices)
        more = requested.encode(reply.ask.session, wanted, plan.codec, plan.quality)
        answer = yield from self.send_patches(frame, np.union1d(sampled, reply.ask.indices))
        return replace(answer, payload_bytes=len(data) + len(more), rounds=2)
