"""Two rounds, in which the server says what it still wants to see: reconstruction of A-MOT (Liu et al., ACM TOSN 2024).

The device has no model. It sends patches that a seed chose; the server recovers the rest and answers, and when it is
not sure and there is time, asks for the patches that its attention chose. A planner decides how many patches go in
either round. What fails in the second round leaves the first one's answer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import patches, requested, samples
from edge_runtime.errors import LinkError, LinkLost, ServerRefused, SessionForgotten
from edge_runtime.messages import Payload, Request, SecondRound
from edge_runtime.systems.answers import server_answer
from edge_runtime.systems.driver import RETURN_MARGIN_S
from edge_runtime.systems.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from numpy.typing import NDArray

    from edge_runtime.codecs.patches import PatchCodec
    from edge_runtime.kernels import Pattern
    from edge_runtime.messages import Answer, Ask, Frame, Reply
    from edge_runtime.models.bundle import FrameSpec
    from edge_runtime.systems import Inference

    Exchange = Generator[Request, Reply, Reply]


class Plan(Protocol):
    """How to ask about one frame: so many patches first, so many more when the first answer is less sure than below."""

    @property
    def codec(self) -> PatchCodec:
        """Of the patches in both rounds."""

    @property
    def quality(self) -> int:
        """The codec's, 1..100."""

    @property
    def first(self) -> int:
        """Patches to send unasked."""

    @property
    def second(self) -> int:
        """Most patches that the server may ask for; 0 for a single round."""

    @property
    def below(self) -> float:
        """Confidence of the first answer under which it asks."""


class Planner(Protocol):
    """Whatever makes plans, and learns from how they went; seconds are on the system's clock."""

    def plan(self, left_s: float) -> Plan:
        """A plan for a frame with so much time left; raises Unmeetable when there is none."""

    def second_fits(self, plan: Plan, count: int, left_s: float) -> bool:
        """Whether ``count`` more patches can be answered in the time left."""

    def everything_fits(self, plan: Plan, count: int, left_s: float) -> bool:
        """Whether ``count`` patches can be that the server has to look at from the start."""

    def sent(self, size: int, now: float) -> None:
        """A payload of ``size`` bytes goes out."""

    def replied(self, timings_ms: Mapping[str, float], queue_length: int, now: float) -> None:
        """It was answered; the arguments are the reply's."""

    def lost(self, now: float) -> None:
        """It was not."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A plan that never changes, and the planner that gives it whatever the link is like."""

    codec: PatchCodec
    quality: int
    first: int
    second: int = 0
    below: float = 0.0

    def plan(self, left_s: float) -> Fixed:  # noqa: ARG002 - of `Planner`
        """Itself."""
        return self

    def second_fits(self, plan: Plan, count: int, left_s: float) -> bool:  # noqa: ARG002
        """Whether any time is left."""
        return left_s > 0

    def everything_fits(self, plan: Plan, count: int, left_s: float) -> bool:  # noqa: ARG002
        """Whether any time is left."""
        return left_s > 0

    def sent(self, size: int, now: float) -> None:
        """Learn nothing."""

    def replied(self, timings_ms: Mapping[str, float], queue_length: int, now: float) -> None:
        """Learn nothing."""

    def lost(self, now: float) -> None:
        """Learn nothing."""


class Amot:
    """Samples, and sends what is asked for. ``frame`` and ``pattern`` are the bundle's, ``model`` names the classifier.

    Without a second round, a lost link leaves no answer: the ``LinkError`` goes to the caller. ``clock`` is that of the
    frames' deadlines.
    """

    name = "amot"

    def __init__(
        self,
        frame: FrameSpec,
        pattern: Pattern,
        planner: Planner,
        model: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.frame = frame
        self.pattern = pattern
        self.planner = planner
        self.model = model
        self.clock = clock

    def infer(self, frame: Frame) -> Inference:
        """Return the server's answer: the second where it asked and was answered, else the first."""
        inference = _OneFrame(self, frame)
        reply = yield from inference.first_round()
        answer = inference.answer(reply)
        if reply.ask is None:
            return answer
        try:
            second = yield from inference.second_round(reply.ask)
            classes = len(answer.probabilities)
            if second.probabilities.shape != (1, classes):
                raise ServerRefused(f"reply: {second.probabilities.size} probabilities after {classes} before")
        except LinkError as lost:
            return replace(
                answer,
                decided_by="best-effort",
                note=str(lost),
                patches_sent=inference.patches_sent,
                sent=inference.sent,
                payload_bytes=inference.payload_bytes,
            )
        return replace(inference.answer(second), rounds=2)


class _OneFrame:
    """The rounds about one frame, and what they sent."""

    def __init__(self, system: Amot, frame: Frame) -> None:
        self._system = system
        self._frame = frame
        self._plan = system.planner.plan(self._left_s())
        self._seed = frame.id % 2**32
        self._grid = (system.frame.grid, system.frame.grid)
        self._sampled = kernels.sample(system.pattern, self._grid, self._plan.first, self._seed)
        self._stages = Stages()
        self.patches_sent = 0
        self.sent = np.empty(0, np.uint16)
        self.payload_bytes = 0

    def first_round(self) -> Exchange:
        """Send what the seed chose."""
        plan = self._plan
        with self._stages("encode"):
            chosen = self._gather(self._sampled)
            data = samples.encode(chosen, self._grid, self._system.pattern, self._seed, plan.codec, plan.quality)
        allowed = SecondRound(plan.second, plan.below) if plan.second else None
        return (yield from self._exchange(Payload("samples", data), self._sampled, allowed))

    def second_round(self, ask: Ask) -> Exchange:
        """Send what was asked for, or everything to a server that has forgotten that it asked."""
        self._check(ask)
        self._check_time(self._system.planner.second_fits, len(ask.indices))
        with self._stages("encode"):
            chosen = self._gather(ask.indices)
            data = requested.encode(ask.session, chosen, self._plan.codec, self._plan.quality)
        try:
            return (yield from self._exchange(Payload("requested", data), ask.indices))
        except SessionForgotten:
            return (yield from self._everything(np.union1d(self._sampled, ask.indices)))

    def answer(self, reply: Reply) -> Answer:
        """What a reply says, and all that was sent for it."""
        answer = server_answer(reply.probabilities[0], self.payload_bytes, self._stages)
        return replace(answer, patches_sent=self.patches_sent, sent=self.sent)

    def _everything(self, indices: NDArray[np.uint16]) -> Exchange:
        self._check_time(self._system.planner.everything_fits, len(indices))
        with self._stages("encode"):
            chosen = self._gather(indices)
            data = patches.encode(chosen, indices, self._grid, self._plan.codec, self._plan.quality)
        return (yield from self._exchange(Payload("patches", data), indices))

    def _exchange(self, payload: Payload, indices: NDArray[np.uint16], second: SecondRound | None = None) -> Exchange:
        system = self._system
        self.patches_sent += len(indices)
        self.sent = np.union1d(self.sent, indices)
        self.payload_bytes += len(payload.data)
        system.planner.sent(len(payload.data), system.clock())
        try:
            with self._stages("link"):
                reply = yield Request(system.name, self._frame.id, (payload,), system.model, second)
        except LinkError:
            system.planner.lost(system.clock())
            raise
        self._stages.add_server(reply.timings_ms)
        system.planner.replied(reply.timings_ms, reply.queue_length, system.clock())
        return reply

    def _check(self, ask: Ask) -> None:
        """The server is as hostile as any: it may ask for some patches of the frame that were allowed and not sent."""
        count, most = self._grid[0] * self._grid[1], self._plan.second
        if not 1 <= len(ask.indices) <= most or ask.indices[-1] >= count or np.isin(ask.indices, self._sampled).any():
            raise ServerRefused(
                f"reply: asks for patches {ask.indices[:3]}… ({len(ask.indices)}), "
                f"allowed are {most} of the {count - len(self._sampled)} that it has not"
            )

    def _check_time(self, fits: Callable[[Plan, int, float], bool], count: int) -> None:
        left_s = self._left_s()
        if not fits(self._plan, count, left_s):
            raise LinkLost(f"second round: {left_s * 1e3:.0f} ms left, too little for {count} patches")

    def _left_s(self) -> float:
        return self._frame.deadline_s - self._system.clock() - RETURN_MARGIN_S

    def _gather(self, indices: NDArray[np.uint16]) -> NDArray[np.uint8]:
        return kernels.gather(self._frame.pixels, indices, self._system.frame.patch)
