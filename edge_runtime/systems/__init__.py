"""The systems: each a generator that yields requests, receives replies and returns an answer.

A system knows no socket and no thread. ``driver.drive`` runs one over anything that answers requests; a lost link
arrives as an exception inside the generator, which may still return the device's own answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from edge_runtime.messages import Answer, Frame, Reply, Request

    Inference = Generator[Request, Reply, Answer]
    BatchInference = Generator[Request, Reply, list[Answer]]


class System(Protocol):
    """Anything that turns a frame into an answer, asking the server as often as it needs."""

    name: str

    def infer(self, frame: Frame) -> Inference:
        """Yield requests, receive replies, return the answer."""


class BatchSystem(Protocol):
    """Anything that turns several frames into their answers, asking the server at most once for all of them."""

    name: str

    def infer_batch(self, frames: Sequence[Frame]) -> BatchInference:
        """Yield at most one request, receive its reply, return the answers in the frames' order."""
