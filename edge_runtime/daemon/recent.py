"""The last frames as pictures: what the status page shows of them."""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from PIL import Image

from edge_runtime.daemon.frames import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# A person follows five pictures a second; a fast source must not spend its time on JPEGs.
SPACING_S = 0.2
QUALITY = 70


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A frame with what the device made of it; bytes are base64 in JSON.

    ``photo`` is a JPEG file at the frame's size. Its ``grid`` × ``grid`` patches count row by row: ``sent`` are those
    that travelled, ``attention`` is one byte each, from the least attended (0) to the most (255). ``serial`` counts
    from 1.
    """

    serial: int
    record: Record
    photo: bytes
    grid: int
    sent: list[int]
    attention: bytes | None

    def to_json(self) -> bytes:
        """One line without its end."""
        return msgspec.json.encode(self)


class Recent:
    """The last ``capacity`` frames that were made into pictures, at most one per `SPACING_S`; of any threads.

    Nobody is told of a new one: who watches asks for what came `since`, so that a slow watcher misses pictures and
    costs nothing.
    """

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._last: deque[Shown] = deque(maxlen=capacity)
        self._clock = clock
        self._next_s = float("-inf")
        self._serial = 0
        self._lock = threading.Lock()

    def add(
        self,
        record: Record,
        pixels: NDArray[np.uint8],
        grid: int,
        sent: NDArray[np.uint16],
        attention: NDArray[np.float32] | None,
    ) -> None:
        """Keep a frame, uint8 ``[size, size, 3]``, unless another was kept just now.

        ``sent`` are places of its ``grid`` × ``grid`` patches, ``attention`` is float32 ``[grid * grid]``.
        """
        serial = self._claim()
        if serial is None:
            return
        shown = Shown(
            serial=serial,
            record=record,
            photo=_jpeg(pixels),
            grid=grid,
            sent=sent.tolist(),
            attention=None if attention is None else _scaled(attention),
        )
        with self._lock:
            self._last.append(shown)

    def since(self, serial: int) -> list[Shown]:
        """The kept pictures after that one, oldest first; all of them since 0."""
        with self._lock:
            return [shown for shown in self._last if shown.serial > serial]

    def _claim(self) -> int | None:
        """The next picture's serial if it is time for one; its JPEG is made outside of the lock."""
        with self._lock:
            now = self._clock()
            if self._last.maxlen == 0 or now < self._next_s:
                return None
            self._next_s = now + SPACING_S
            self._serial += 1
            return self._serial


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _scaled(attention: NDArray[np.float32]) -> bytes:
    """From the smallest value, 0, to the largest, 255; all 0 where they are equal."""
    above = attention - attention.min()
    largest = above.max()
    scaled: NDArray[np.uint8] = (above * (255 / largest) if largest > 0 else above).round().astype(np.uint8)
    return scaled.tobytes()
