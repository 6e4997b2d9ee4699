"""Running a system over anything that answers requests: a server's handler in this process, or a client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from edge_runtime.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from edge_runtime.messages import Reply, Request

Result = TypeVar("Result")

RETURN_MARGIN_S = 0.01
"""Kept back from each call's time limit, so that a fallback answer is given before the deadline, not at it."""


def drive(
    inference: Generator[Request, Reply, Result],
    call: Callable[[Request, float], Reply],
    deadline_s: float = float("inf"),
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Run a system to its answer, or to the answers of a batch.

    ``call(request, timeout_s)`` answers a request or raises ``LinkError``, which is thrown into the system: it may
    fall back on its own answer or let the error through. ``deadline_s`` is on ``clock``'s scale.
    """
    try:
        request = next(inference)
        while True:
            try:
                reply = call(request, max(deadline_s - clock() - RETURN_MARGIN_S, 0.0))
            except LinkError as lost:  # noqa: PERF203 - a round trip takes milliseconds
                request = inference.throw(lost)
            else:
                request = inference.send(reply)
    except StopIteration as finished:
        result: Result = finished.value
        return result
