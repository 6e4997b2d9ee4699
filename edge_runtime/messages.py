"""The words of the runtime: frame, payload, request, reply, answer.

These types cross every boundary (system, driver, client, server), so they depend on nothing but NumPy and the errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

PayloadKind = Literal["image", "patches", "features"]
DecidedBy = Literal["edge", "server", "edge-fallback"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and the time by which it needs an answer.

    ``pixels`` is uint8 ``[height, width, 3]``, RGB, already at the bundle's frame size. ``deadline_s`` is on the
    clock of ``time.monotonic``; infinity means no deadline.
    """

    id: int
    pixels: NDArray[np.uint8]
    deadline_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes that carry a picture's information; their format has a page in ``docs/formats/``.

    ``features`` are a feature map of one cut, so their request names the model behind it.
    """

    kind: PayloadKind
    data: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What a system asks of the server: one or more frames of one payload kind, all answered by one model.

    ``frame_id`` is the first frame's. An empty ``model`` means the bundle's default server model. Raises ArgumentError
    for no payloads and for payloads of several kinds.
    """

    system: str
    frame_id: int
    payloads: tuple[Payload, ...]
    model: str = ""

    def __post_init__(self) -> None:
        kinds = sorted({payload.kind for payload in self.payloads})
        if len(kinds) != 1:
            found = ", ".join(kinds) or "none"
            raise ArgumentError(f"payloads: {found} in one request, give one or more payloads of one kind")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers: float32 ``probabilities [frames, classes]``, in the order of the payloads.

    ``timings_ms`` has the keys ``decode`` (of all frames), ``queue`` (waiting for the model) and ``compute``, in
    milliseconds; ``queue_length`` counts the requests that waited for the same model when this one was answered.
    """

    probabilities: NDArray[np.float32]
    model: str
    timings_ms: Mapping[str, float]
    queue_length: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one frame: who decided, and why.

    ``edge-fallback`` marks the device's own answer, given because the server did not answer in time; ``note`` then
    says what happened. ``patches_sent`` counts patches (0 when nothing was sent), ``payload_bytes`` the payload alone.
    ``timings_ms`` are the stages of all the frames that were answered together, in milliseconds.
    """

    probabilities: NDArray[np.float32]
    label: int
    decided_by: DecidedBy
    min_entropy: float
    patches_sent: int = 0
    payload_bytes: int = 0
    note: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
