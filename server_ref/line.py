"""The line of requests before one model: the oldest leads, those behind it share its run.

Nobody waits for company: a run takes the requests that are there when the model becomes free, up to the line's most.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, EdgeRuntimeError, ModelError, PayloadError
from edge_runtime.messages import Reply

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.messages import Payload
    from server_ref.predictors import Inputs, Predictor


class TooLate(EdgeRuntimeError):  # noqa: N818 - an event, as LinkLost is on the other side
    """The deadline has passed, or will before the model can have answered."""


class _Computed(NamedTuple):
    """One request's share of a run: ``logits [classes]``, when the run began and ended."""

    logits: NDArray[np.float32]
    started_s: float
    finished_s: float


class _Ticket:
    """A decoded request in the line. ``taken``: it is part of a run that is under way or over."""

    def __init__(self, inputs: Inputs, deadline_s: float) -> None:
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
        # By the size of a run; what was never run is taken to need no time.
        self._needed_s = [0.0] * (self._most + 1)

    def answer(self, payload: Payload, deadline_s: float) -> Reply:
        """Decode, wait for the model, compute; raises as ``Backend.answer`` does."""
        self._check_kind(payload)
        start = time.perf_counter()
        ticket = _Ticket(self._predictor.decode(payload), deadline_s)
        arrived = time.perf_counter()
        run = self._wait_for_turn(ticket)
        if run:
            self._compute(run)
        logits, started, finished = ticket.computed.result()
        return Reply(
            probabilities=_softmax(logits),
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
        if left_s <= self._needed_s[1]:
            text = f"{left_s * 1e3:.0f} ms left, {self._name} needs at least {self._needed_s[1] * 1e3:.0f} ms"
            # A refusal teaches nothing about the model: without this, one slow run could turn away everybody for ever.
            self._needed_s[1] *= 0.9
            raise TooLate(f"deadline: {text}")

    def _take(self, ticket: _Ticket) -> list[_Ticket]:
        """The ticket and those behind it, as long as the larger run makes none of them late."""
        run = [ticket]
        while self._waiting and len(run) < self._most:
            larger = [*run, self._waiting[0]]
            if min(one.left_s for one in larger) <= self._needed_s[len(larger)]:
                self._needed_s[len(larger)] *= 0.9
                break
            run = larger
            self._waiting.pop(0).taken = True
        self._running = True
        return run

    def _compute(self, run: list[_Ticket]) -> None:
        started = time.perf_counter()
        try:
            logits = self._predictor.logits([ticket.inputs for ticket in run])
            answered = list(zip(run, logits, strict=True))
        except BaseException as error:
            for ticket in run:
                ticket.computed.set_exception(error)
        else:
            finished = time.perf_counter()
            self._learn(len(run), finished - started)
            for ticket, row in answered:
                ticket.computed.set_result(_Computed(row, started, finished))
        finally:
            with self._changed:
                self._running = False
                self._changed.notify_all()

    def _learn(self, size: int, taken_s: float) -> None:
        """Down at once, up slowly: what a run of that size cannot do without."""
        needed_s = self._needed_s[size]
        self._needed_s[size] = min(taken_s, needed_s + 0.1 * (taken_s - needed_s))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        return kernels.softmax(logits)
    except ArgumentError as error:
        raise ModelError(f"the model's output is no answer: {error}") from None
