"""A circuit breaker: after a lost call, later ones fail at once until a probe has found the server again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Closed: calls pass. Open: they do not. Half-open: they do not either, but a probe is on its way.

    ``losses`` calls lost in a row open it; those that were under way with the last change nothing. A probe is due
    ``first_s`` seconds later; every probe that fails doubles the wait, up to ``cap_s``. It starts no probe itself:
    whoever is told by `claim_probe` that one is due sends it and reports back. Safe to share between threads.
    """

    def __init__(
        self,
        first_s: float = 0.25,
        cap_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        losses: int = 1,
    ) -> None:
        self._losses = losses
        self._lost = 0
        self._first_s = first_s
        self._cap_s = cap_s
        self._clock = clock
        self._lock = threading.Lock()
        self._state: State = "closed"
        self._wait_s = first_s
        self._due_s = 0.0

    @property
    def state(self) -> State:
        """Where it stands now."""
        return self._state

    def claim_probe(self) -> bool:
        """Whether a probe is due; true for one caller only, who then owes `succeeded` or `probe_failed`."""
        with self._lock:
            if self._state != "open" or self._clock() < self._due_s:
                return False
            self._state = "half-open"
            return True

    def succeeded(self) -> None:
        """A call or a probe was answered."""
        with self._lock:
            self._state = "closed"
            self._lost = 0
            self._wait_s = self._first_s

    def failed(self) -> None:
        """A call was lost."""
        with self._lock:
            self._lost += 1
            if self._state == "closed" and self._lost >= self._losses:
                self._open()

    def probe_failed(self) -> None:
        """A probe was lost."""
        with self._lock:
            # Unless the late answer to a call has closed it meanwhile.
            if self._state == "half-open":
                self._wait_s = min(self._wait_s * 2, self._cap_s)
                self._open()

    def _open(self) -> None:
        self._state = "open"
        self._due_s = self._clock() + self._wait_s
