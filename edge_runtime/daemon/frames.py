"""A frame's way through the daemon: captured by a source, answered by a system, recorded for the sinks."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

import msgspec

from edge_runtime.errors import EdgeRuntimeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DropReason = Literal["full", "rate", "stopped"]


class Dropped(EdgeRuntimeError):  # noqa: N818 - an event of the queue
    """A frame left without an answer: the queue was full, it came too soon, or the source was stopped."""

    def __init__(self, reason: DropReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one frame, as the sinks get it (JSON, keys as here).

    ``key`` is unique to the frame and stays the same when a record is delivered again. ``name`` is the source's word
    for the frame: a file's name, a request's, a number. ``captured`` is UTC in ISO 8601. ``decided_by`` is ``edge``,
    ``server``, ``edge-fallback``, ``best-effort`` or ``none``, which has no label and probability 0; ``why`` says in
    words what decided. ``payload_bytes`` were sent for it, ``whole_bytes`` is what the whole photo would have taken.
    ``latency_ms`` runs from its capture to its answer, ``timings_ms`` are the stages. ``bundle_hash`` names the models.
    ``revises`` is set on the server's late answer to a frame that had an answer already, under the same key.
    """

    key: str
    source: str
    name: str
    captured: str
    system: str
    label: str | None
    probability: float
    decided_by: str
    why: str
    min_entropy: float | None
    patches_sent: int
    payload_bytes: int
    whole_bytes: int
    rounds: int
    latency_ms: float
    deadline_ms: float
    in_time: bool
    timings_ms: dict[str, float]
    bundle_hash: str
    mode: dict[str, float] | None = None
    revises: bool = False

    def to_json(self) -> bytes:
        """One line without its end."""
        return msgspec.json.encode(self)


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """A frame as a source took it: a photo's bytes, or pixels uint8 ``[height, width, 3]``, RGB.

    ``answered`` is resolved with the record as soon as there is an answer, ``recorded`` once the sinks have it too;
    both carry `Dropped` for a frame that left the queue unanswered and PhotoError for one that cannot be read. Make it
    inside the event loop. ``captured_s`` is on the clock of ``time.monotonic``.
    """

    name: str
    image: bytes | NDArray[np.uint8]
    deadline_s: float
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    captured_s: float = field(default_factory=time.monotonic)
    captured: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    answered: asyncio.Future[Record] = field(default_factory=lambda: _future())
    recorded: asyncio.Future[Record] = field(default_factory=lambda: _future())

    def fail(self, error: EdgeRuntimeError) -> None:
        """Tell whoever waits that no answer will come."""
        for outcome in (self.answered, self.recorded):
            if not outcome.done():
                outcome.set_exception(error)


def _future() -> asyncio.Future[Record]:
    future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
    # Not everybody waits for both; an error that nobody asks for is no news.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
