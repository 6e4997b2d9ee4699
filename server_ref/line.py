"""The line of requests before one model: the oldest leads, those behind it share its run.

Nobody waits for company: a run takes the requests that are there when the model becomes free, whole ones, as long as
their frames stay within the line's most and sharing has not proved slower. A request that has more frames by itself is
run alone.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, EdgeRuntimeError, ModelError, PayloadError
from edge_runtime.messages import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.messages import Payload
    from server_ref.predictors import Inputs, Predictor


class TooLate(EdgeRuntimeError):  # noqa: N818 - an event, as LinkLost is on the other side
    """The deadline has passed, or will before the model can have answered."""


class _Computed(NamedTuple):
    """One request's share of a run: ``logits [frames, classes]``, when the run began and ended."""

    logits: NDArray[np.float32]
    started_s: float
    finished_s: float


class _Ticket:
    """A decoded request in the line, one of ``inputs`` a frame. ``taken``: it is part of a run, under way or over."""

    def __init__(self, inputs: Sequence[Inputs], deadline_s: float) -> None:
        self.inputs = inputs
        self.deadline_s = deadline_s
        self.taken = False
        self.computed: Future[_Computed] = Future()

    @property
    def left_s(self) -> float:
        return self.deadline_s - time.monotonic()


class Line:
    """Requests wait here for one predictor, which runs once at a time. Safe between threads."""

    def __init__(self, name: str, predictor: Predictor, max_batch: int) -> None:
        self._name = name
        self._predictor = predictor
        self._most = max_batch if predictor.batches else 1
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._running = False
        # By the frames in a run; what was never run is taken to need no time.
        self._needed_s: defaultdict[int, float] = defaultdict(float)

    def answer(self, payloads: Sequence[Payload], deadline_s: float) -> Reply:
        """Decode payloads of one kind, wait for the model, compute; raises as ``Backend.answer`` does."""
        self._check_kind(payloads[0])
        start = time.perf_counter()
        ticket = _Ticket([self._predictor.decode(payload) for payload in payloads], deadline_s)
        arrived = time.perf_counter()
        run = self._wait_for_turn(ticket)
        if run:
            self._compute(run)
        logits, started, finished = ticket.computed.result()
        return Reply(
            probabilities=np.stack([_softmax(row) for row in logits]),
            model=self._name,
            timings_ms={
                "decode": (arrived - start) * 1e3,
                "queue": (started - arrived) * 1e3,
                "compute": (finished - started) * 1e3,
            },
            queue_length=len(self._waiting),
        )

    def _check_kind(self, payload: Payload) -> None:
        kinds = self._predictor.kinds
        if payload.kind not in kinds:
            raise PayloadError(f"{payload.kind}: model {self._name!r} takes {', '.join(kinds)}")

    def _wait_for_turn(self, ticket: _Ticket) -> list[_Ticket]:
        """The run that this ticket leads; empty when it became part of another's."""
        with self._changed:
            self._waiting.append(ticket)
            patience_s = min(max(ticket.left_s, 0), threading.TIMEOUT_MAX)
            self._changed.wait_for(lambda: ticket.taken or self._leads(ticket), patience_s)
            if ticket.taken:
                return []
            self._waiting.remove(ticket)
            self._changed.notify_all()  # whoever is the oldest now may lead
            self._refuse_if_late(ticket)
            return self._take(ticket)

    def _leads(self, ticket: _Ticket) -> bool:
        return not self._running and self._waiting[0] is ticket

    def _refuse_if_late(self, ticket: _Ticket) -> None:
        left_s = ticket.left_s
        if self._running:
            waiting = len(self._waiting)
            raise TooLate(f"deadline: passed while waiting for {self._name}, {waiting} more requests wait for it")
        frames = len(ticket.inputs)
        if left_s <= self._needed_s[frames]:
            text = f"{left_s * 1e3:.0f} ms left, {self._name} needs at least {self._needed_s[frames] * 1e3:.0f} ms"
            # A refusal teaches nothing about the model: without this, one slow run could turn away everybody for ever.
            self._needed_s[frames] *= 0.9
            raise TooLate(f"deadline: {text}")

    def _take(self, ticket: _Ticket) -> list[_Ticket]:
        """The ticket and those behind it, as long as the larger run is within the most and helps without harming."""
        run = [ticket]
        while self._waiting and _frames(larger := [*run, self._waiting[0]]) <= self._most:
            if not self._pays(run, self._waiting[0]):
                break
            if min(one.left_s for one in larger) <= self._needed_s[_frames(larger)]:
                self._needed_s[_frames(larger)] *= 0.9
                break
            run = larger
            self._waiting.pop(0).taken = True
        self._running = True
        return run

    def _pays(self, run: Sequence[_Ticket], ticket: _Ticket) -> bool:
        """Whether one run for all takes no longer than two: on a CPU, large batches may be slower than small ones."""
        apart_s = self._needed_s[_frames(run)] + self._needed_s[len(ticket.inputs)]
        return self._needed_s[_frames([*run, ticket])] <= apart_s

    def _compute(self, run: list[_Ticket]) -> None:
        started = time.perf_counter()
        try:
            logits = self._logits([inputs for ticket in run for inputs in ticket.inputs])
            shares = np.split(logits, np.cumsum([len(ticket.inputs) for ticket in run[:-1]]))
        except BaseException as error:
            for ticket in run:
                ticket.computed.set_exception(error)
        else:
            finished = time.perf_counter()
            self._learn(len(logits), finished - started)
            for ticket, share in zip(run, shares, strict=True):
                ticket.computed.set_result(_Computed(share, started, finished))
        finally:
            with self._changed:
                self._running = False
                self._changed.notify_all()

    def _logits(self, inputs: Sequence[Inputs]) -> NDArray[np.float32]:
        """Logits ``[len(inputs), classes]``, one after another where the model takes no more at a time."""
        if self._predictor.batches:
            logits = self._predictor.logits(inputs)
        else:
            logits = np.concatenate([self._predictor.logits([one]) for one in inputs])
        if len(logits) != len(inputs):
            raise ModelError(f"{self._name}: {len(logits)} rows of logits for {len(inputs)} frames, export it again")
        return logits

    def _learn(self, frames: int, taken_s: float) -> None:
        """Down at once, up slowly: what a run of so many frames cannot do without."""
        needed_s = self._needed_s[frames]
        self._needed_s[frames] = min(taken_s, needed_s + 0.1 * (taken_s - needed_s))


def _frames(run: Sequence[_Ticket]) -> int:
    return sum(len(ticket.inputs) for ticket in run)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        return kernels.softmax(logits)
    except ArgumentError as error:
        raise ModelError(f"the model's output is no answer: {error}") from None
