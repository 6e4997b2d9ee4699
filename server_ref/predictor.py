"""What a line of requests needs of a served model."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.messages import Ask, PayloadKind, Request


class Outcome(NamedTuple):
    """What a model made of one frame: float32 ``logits [classes]``, and what it wants to see besides."""

    logits: NDArray[np.float32]
    ask: Ask | None = None

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Float32 ``[classes]``; raises ModelError for logits that are no numbers."""
        with blame_the_model():
            return kernels.softmax(self.logits)


class Predictor(Protocol):
    """One served model.

    ``kinds`` are the payloads it takes, ``max_bytes`` is what a sensible one weighs at most. ``batches`` says whether
    the model answers several frames at a time; if not, `run` is given one.
    """

    kinds: tuple[PayloadKind, ...]
    max_bytes: int
    batches: bool

    def decode(self, request: Request, deadline_s: float) -> Sequence[Any]:
        """The model's inputs, one a frame, of whatever type `run` takes; raises PayloadError.

        ``deadline_s`` is on the clock of ``time.monotonic``. May be called by many threads.
        """

    def run(self, inputs: Sequence[Any]) -> Sequence[Outcome]:
        """One outcome for each of the inputs, in their order; never called by two threads at once."""


@contextmanager
def blame_the_model() -> Iterator[None]:
    """Kernels refuse what a model computed as an argument; here it is the model that is wrong: ModelError."""
    try:
        yield
    except ArgumentError as error:
        raise ModelError(f"the model's output is no answer: {error}") from None
