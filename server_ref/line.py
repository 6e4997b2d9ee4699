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
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime.errors import EdgeRuntimeError, ModelError, PayloadError
from edge_runtime.messages import Reply
from server_ref.least_time import LeastTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.messages import PayloadKind, Request
    from server_ref.predictor import Outcome, Predictor


class TooLate(EdgeRuntimeError):  # noqa: N818 - an event, as LinkLost is on the other side
    """The deadline has passed, or will before the model can have answered."""


class _Computed(NamedTuple):
    """One request's share of a run: an outcome a frame, when the run began and ended."""

    outcomes: Sequence[Outcome]
    started_s: float
    finished_s: float


class _Ticket:
    """A decoded request in the line, one of ``inputs`` a frame. ``taken``: it is part of a run, under way or over."""

    def __init__(self, kind: PayloadKind, inputs: Sequence[Any], deadline_s: float) -> None:
        self.kind = kind
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
        # By the kind of payload that leads a run, and its frames: a second round takes less than a first.
        self._needed: defaultdict[tuple[PayloadKind, int], LeastTime] = defaultdict(LeastTime)

    def answer(self, request: Request, deadline_s: float) -> Reply:
        """Decode payloads of one kind, wait for the model, compute; raises as ``Backend.answer`` does."""
        kind = request.payloads[0].kind
        self._check_kind(kind)
        start = time.perf_counter()
        ticket = _Ticket(kind, self._predictor.decode(request, deadline_s), deadline_s)
        arrived = time.perf_counter()
        run = self._wait_for_turn(ticket)
        if run:
            self._compute(run)
        outcomes, started, finished = ticket.computed.result()
        return Reply(
            probabilities=np.stack([outcome.probabilities for outcome in outcomes]),
            model=self._name,
            timings_ms={
                "decode": (arrived - start) * 1e3,
                "queue": (started - arrived) * 1e3,
                "compute": (finished - started) * 1e3,
            },
            queue_length=len(self._waiting),
            ask=outcomes[0].ask,
        )

    def _check_kind(self, kind: PayloadKind) -> None:
        kinds = self._predictor.kinds
        if kind not in kinds:
            raise PayloadError(f"{kind}: model {self._name!r} takes {', '.join(kinds)}")

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
        if self._running:
            waiting = len(self._waiting)
            raise TooLate(f"deadline: passed while waiting for {self._name}, {waiting} more requests wait for it")
        left_s, needed = ticket.left_s, self._needs([ticket])
        text = f"{left_s * 1e3:.0f} ms left, {self._name} needs at least {needed.seconds * 1e3:.0f} ms"
        if not needed.fits(left_s):
            raise TooLate(f"deadline: {text}")

    def _take(self, ticket: _Ticket) -> list[_Ticket]:
        """The ticket and those behind it, as long as the larger run is within the most and helps without harming."""
        run = [ticket]
        while self._waiting and _frames(larger := [*run, self._waiting[0]]) <= self._most:
            if not self._pays(run, self._waiting[0]):
                break
            if not self._needs(larger).fits(min(one.left_s for one in larger)):
                break
            run = larger
            self._waiting.pop(0).taken = True
        self._running = True
        return run

    def _pays(self, run: Sequence[_Ticket], ticket: _Ticket) -> bool:
        """Whether one run for all takes no longer than two: on a CPU, large batches may be slower than small ones."""
        apart_s = self._needs(run).seconds + self._needs([ticket]).seconds
        return self._needs([*run, ticket]).seconds <= apart_s

    def _needs(self, run: Sequence[_Ticket]) -> LeastTime:
        return self._needed[run[0].kind, _frames(run)]

    def _compute(self, run: list[_Ticket]) -> None:
        started = time.perf_counter()
        try:
            outcomes = self._run([inputs for ticket in run for inputs in ticket.inputs])
        except BaseException as error:
            for ticket in run:
                ticket.computed.set_exception(error)
        else:
            finished = time.perf_counter()
            self._needs(run).took(finished - started)
            rest = iter(outcomes)
            for ticket in run:
                ticket.computed.set_result(_Computed(list(islice(rest, len(ticket.inputs))), started, finished))
        finally:
            with self._changed:
                self._running = False
                self._changed.notify_all()

    def _run(self, inputs: Sequence[Any]) -> Sequence[Outcome]:
        """One outcome for each of the inputs, one after another where the model takes no more at a time."""
        if self._predictor.batches:
            outcomes = self._predictor.run(inputs)
        else:
            outcomes = [outcome for one in inputs for outcome in self._predictor.run([one])]
        if len(outcomes) != len(inputs):
            raise ModelError(f"{self._name}: {len(outcomes)} rows of logits for {len(inputs)} frames, export it again")
        return outcomes


def _frames(run: Sequence[_Ticket]) -> int:
    return sum(len(ticket.inputs) for ticket in run)
