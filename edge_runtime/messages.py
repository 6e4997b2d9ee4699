"""The words of the runtime: frame, payload, request, reply, answer.

These types cross every boundary (system, driver, client, server), so they depend on nothing but NumPy and the errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

PayloadKind = Literal["image", "patches", "features", "samples", "requested", "latent"]
DecidedBy = Literal["edge", "server", "edge-fallback", "best-effort"]

SESSION_BYTES = 16
# Patches are numbered in 16 bits.
MAX_PATCHES = 1 << 16


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

    ``features`` are a feature map of one cut, and a ``latent`` is what one family of encoders made, so their requests
    name the model behind it. ``requested`` are patches that a reply's ``ask`` named, so only the server that asked can
    read them.
    """

    kind: PayloadKind
    data: bytes


@dataclass(frozen=True, slots=True)
class SecondRound:
    """What a first request allows: ask for ``patches`` more when the confidence of its answer is ``below`` this.

    Confidence is the largest probability. Raises ArgumentError for fewer patches than one, and for a probability
    outside 0..1.
    """

    patches: int
    below: float

    def __post_init__(self) -> None:
        if not 1 <= self.patches <= MAX_PATCHES:
            raise ArgumentError(f"patches: {self.patches} in a second round, give 1..{MAX_PATCHES}")
        if not 0 <= self.below <= 1:
            raise ArgumentError(f"below: {self.below} is no probability, give 0..1")


@dataclass(frozen=True, slots=True)
class Request:
    """What a system asks of the server: one or more frames of one payload kind, all answered by one model.

    ``frame_id`` is the first frame's. An empty ``model`` means the bundle's default server model. With ``second`` the
    reply may ask for more patches of the frame, of which there is one then. Raises ArgumentError for no payloads, for
    payloads of several kinds, and for a second round of several frames.
    """

    system: str
    frame_id: int
    payloads: tuple[Payload, ...]
    model: str = ""
    second: SecondRound | None = None

    def __post_init__(self) -> None:
        kinds = sorted({payload.kind for payload in self.payloads})
        if len(kinds) != 1:
            found = ", ".join(kinds) or "none"
            raise ArgumentError(f"payloads: {found} in one request, give one or more payloads of one kind")
        if self.second and len(self.payloads) > 1:
            raise ArgumentError(f"second: a round of {len(self.payloads)} frames, ask about one frame at a time")


@dataclass(frozen=True, slots=True)
class Ask:
    """What the server wants to see before it is sure: uint16 ``indices [k]``, ascending, counted row by row.

    ``session`` is 16 bytes by which it knows again what it has seen; it may forget. The indices are as hostile as the
    rest of a reply: whoever knows the frame's grid checks them.
    """

    session: bytes
    indices: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers: float32 ``probabilities [frames, classes]``, in the order of the payloads.

    ``timings_ms`` has the keys ``decode`` (of all frames), ``queue`` (waiting for the model) and ``compute``, in
    milliseconds; ``queue_length`` counts the requests that waited for the same model when this one was answered.
    ``ask`` is there when the server is not sure and the request allows a second round.
    """

    probabilities: NDArray[np.float32]
    model: str
    timings_ms: Mapping[str, float]
    queue_length: int = 0
    ask: Ask | None = None


class Mode(NamedTuple):
    """How a latent is made: by so many ``encoders`` (or at so many shares of the width), in so many ``levels``."""

    encoders: int
    levels: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one frame: who decided, and why.

    ``edge-fallback`` marks the device's own answer, given because the server did not answer in time, ``best-effort``
    the server's first answer, given because the second round that it asked for did not happen; ``note`` then says why.
    ``rounds`` is 2 when a second round was answered. ``patches_sent`` counts patches (0 when nothing was sent), and
    ``sent`` uint16 ``[k]`` says which, row by row; ``payload_bytes`` are the payloads alone. ``mode`` is that of the
    latent, where one was sent. ``timings_ms`` are the stages of all the frames that were answered together, in
    milliseconds. ``attention`` is what the device's model attended to, as it gave it, where it has any.
    """

    probabilities: NDArray[np.float32]
    label: int
    decided_by: DecidedBy
    min_entropy: float
    patches_sent: int = 0
    payload_bytes: int = 0
    note: str = ""
    rounds: int = 1
    mode: Mode | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    attention: NDArray[np.float32] | None = None
    sent: NDArray[np.uint16] | None = None
