"""A network cut in two: the device computes its prefix, the feature map travels compressed, the server goes on.

The cut is Neurosurgeon's (Kang et al., ASPLOS 2017). The compressor is FF: reconstruction of the compressor in Hou et
al., IEEE TCC 2024. The link between the two, a byte budget for every frame, is ours.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from edge_runtime.errors import ArgumentError
from edge_runtime.messages import Payload, Request
from edge_runtime.systems.answers import server_answers
from edge_runtime.systems.driver import RETURN_MARGIN_S
from edge_runtime.systems.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.messages import Frame
    from edge_runtime.systems import BatchInference, Inference
    from edge_runtime.systems.edge import PrefixModel

# What a request and its reply weigh beyond payloads and probabilities, and each payload besides: docs/formats/wire.md.
ENVELOPE_BYTES = 240
FRAME_BYTES = 8


class FeatureEncoder(Protocol):
    """What the device needs of a feature codec: maps float32 ``[C, H, W]`` of one ``shape`` in, bytes out."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of every map."""

    def encode(self, features: NDArray[np.float32], quality: int) -> bytes:
        """Encode at a quality from 0 to 100, the finest."""

    def encode_within(self, features: NDArray[np.float32], budget: int) -> bytes:
        """Encode as finely as about ``budget`` bytes allow."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """What is known of a link: bytes a second in either direction, and seconds for the way there and back."""

    bandwidth: float
    round_trip_s: float = 0.0


def byte_budget(link: LinkState, deadline_s: float, device_s: float, server_s: float, other_bytes: int = 0) -> int:
    """Bytes of payload that still arrive, and are answered, within ``deadline_s`` seconds from now; never below 0.

    ``device_s`` and ``server_s`` are what each side will need, ``other_bytes`` what crosses the link besides. Without
    a deadline (infinity) the budget is as large as budgets get.
    """
    link_s = deadline_s - device_s - server_s - link.round_trip_s
    return int(min(max(link_s * link.bandwidth - other_bytes, 0), 2**31 - 1))


class Split:
    """Runs the prefix, sends its feature map, takes the server's answer. ``model`` names the suffix.

    A map's size is ruled by one of: ``quality``, 0..100; ``budget``, in bytes; ``link``, which gives every frame the
    bytes that its deadline leaves, as the last answer's stage times suggest. Half of a network has no answer of its
    own: a lost link leaves none, the ``LinkError`` goes to the caller.
    """

    name = "split"

    def __init__(
        self,
        prefix: PrefixModel,
        codec: FeatureEncoder,
        model: str,
        *,
        quality: int | None = None,
        budget: int | None = None,
        link: LinkState | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if [quality, budget, link].count(None) != 2:
            raise ArgumentError(f"quality, budget, link: {quality}, {budget}, {link} given; give exactly one")
        if budget is not None and budget < 1:
            raise ArgumentError(f"budget: {budget} bytes hold no map, give 1 or more")
        self.prefix = prefix
        self.codec = codec
        self.model = model
        self.quality = quality
        self.budget = budget
        self.link = link
        self._clock = clock
        # Of the last batch, for one frame: what a batch takes is close to proportional to its frames.
        self._frame_ms: Mapping[str, float] = {}
        self._reply_bytes = 0

    def infer(self, frame: Frame) -> Inference:
        """Send the frame's features, return the server's answer."""
        (answer,) = yield from self.infer_batch([frame])
        return answer

    def infer_batch(self, frames: Sequence[Frame]) -> BatchInference:
        """Send the frames' features in one request, return the server's answers in their order.

        With a ``link``, the frames share what the earliest of their deadlines leaves. ArgumentError for no frames.
        """
        stages = Stages()
        with stages("prefix"):
            maps = self.prefix.features(frames).reshape(-1, *self.codec.shape)
        with stages("encode"):
            payloads = self._encode(maps, min(frame.deadline_s for frame in frames))
        with stages("link"):
            reply = yield Request(self.name, frames[0].id, payloads, self.model)
        answers = server_answers(payloads, reply, stages)
        self._frame_ms = {stage: taken / len(frames) for stage, taken in stages.taken_ms.items()}
        self._reply_bytes = reply.probabilities[0].nbytes
        return answers

    def _encode(self, maps: NDArray[np.float32], deadline_s: float) -> tuple[Payload, ...]:
        if self.quality is not None:
            encode = partial(self.codec.encode, quality=self.quality)
        else:
            encode = partial(self.codec.encode_within, budget=self._budget(len(maps), deadline_s))
        return tuple(Payload("features", encode(features)) for features in maps)

    def _budget(self, count: int, deadline_s: float) -> int:
        """Bytes for each of ``count`` maps."""
        if self.link is None:
            assert self.budget is not None  # noqa: S101 - one of the three is given
            return self.budget
        left_s = deadline_s - self._clock() - RETURN_MARGIN_S
        encode_s = count * self._frame_ms.get("encode", 0.0) / 1e3
        server_s = count * sum(taken for stage, taken in self._frame_ms.items() if stage.startswith("server_")) / 1e3
        other_bytes = ENVELOPE_BYTES + count * (FRAME_BYTES + self._reply_bytes)
        return byte_budget(self.link, left_s, encode_s, server_s, other_bytes) // count
