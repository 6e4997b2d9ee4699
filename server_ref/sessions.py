"""What the server remembers of first rounds, until it forgets."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_runtime.errors import SessionForgotten
from edge_runtime.messages import SESSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from server_ref.picture import Picture

MAX_BYTES = 256 << 20
MAX_AGE_S = 30.0
# What a session weighs beyond its large arrays: objects, indices and the buffers behind them.
OVERHEAD_BYTES = 1 << 12


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """A first round: what was seen of the frame, what was asked for, and what the classifier made of it.

    ``asked`` is uint16 ``[k]``, ascending; ``image`` float32 ``[1, 3, size, size]`` is what the classifier saw,
    ``states`` what it keeps for an update, as it gave them. A second answer less sure than ``below`` deserves another
    look. ``asked_s`` is when the question was sent, on the clock of ``time.monotonic``.
    """

    frame_id: int
    picture: Picture
    asked: NDArray[np.uint16]
    image: NDArray[np.float32]
    states: NDArray[Any]
    below: float
    asked_s: float

    @property
    def nbytes(self) -> int:
        """What it occupies in memory."""
        return self.picture.patches.nbytes + self.image.nbytes + self.states.nbytes + OVERHEAD_BYTES


class _Entry(NamedTuple):
    session: Session
    expires_s: float


class Sessions:
    """First rounds by their token, at most ``max_bytes`` of them, each for ``max_age_s`` seconds. Safe between threads.

    When there is no room the one that was used longest ago goes first.
    """

    def __init__(
        self,
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        # The one used longest ago comes first.
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """What all of them occupy in memory."""
        return self._nbytes

    def has_room_for(self, size: int) -> bool:
        """Whether a session of ``size`` bytes could be remembered at all, in the place of all others if need be."""
        return size <= self._max_bytes

    def remember(self, session: Session) -> bytes:
        """Keep a session, in the place of others if need be; returns its token, which nobody can guess."""
        token = secrets.token_bytes(SESSION_BYTES)
        now = self._clock()
        with self._lock:
            self._entries[token] = _Entry(session, now + self._max_age_s)
            self._nbytes += session.nbytes
            for expired in [key for key, entry in self._entries.items() if entry.expires_s <= now]:
                self._forget(expired)
            while self._nbytes > self._max_bytes:
                self._forget(next(iter(self._entries)))
        return token

    def recall(self, token: bytes, frame_id: int) -> Session:
        """The session of that token and frame, which stays; raises SessionForgotten."""
        with self._lock:
            entry = self._entries.get(token)
            if entry and entry.expires_s <= self._clock():
                self._forget(token)
                entry = None
            # What somebody else's token would tell is the same as what a wrong one does.
            if entry is None or entry.session.frame_id != frame_id:
                raise SessionForgotten(
                    f"session: {token[:4].hex()}… of frame {frame_id} is not known here any more, send all patches"
                )
            self._entries.move_to_end(token)
            return entry.session

    def _forget(self, token: bytes) -> None:
        self._nbytes -= self._entries.pop(token).session.nbytes
