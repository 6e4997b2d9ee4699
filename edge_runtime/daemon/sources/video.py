"""A video file, frame by frame."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_runtime.daemon.frames import Captured
from edge_runtime.daemon.sources.opencv import opencv, rgb
from edge_runtime.errors import SourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.daemon import config
    from edge_runtime.daemon.intake import Intake

# Of a file that says neither when a frame is due nor how many there are in a second.
USUAL_RATE = 25.0


class Picture(NamedTuple):
    """One of a video, due so many seconds after its start."""

    pixels: NDArray[np.uint8]
    at_s: float


class Video:
    """Frames of a file, named by their number from 0; those of a repetition go on counting."""

    def __init__(self, settings: config.Video) -> None:
        self._settings = settings
        self.trouble = ""
        self._offered = 0

    async def run(self, intake: Intake) -> None:
        """Offer frames until the file ends; raises SourceError for one that is no video."""
        intake.begun.set()
        cv2 = await asyncio.to_thread(opencv)
        while True:
            offered = self._offered
            await self._play(cv2, intake)
            if self._offered == offered:
                raise SourceError(f"{self._settings.path}: no frame can be read from it; give a video file")
            if not self._settings.repeat:
                return

    async def _play(self, cv2: Any, intake: Intake) -> None:
        """Offer every frame once."""
        # Nobody releases it: when this task is cancelled, a thread may be reading still, and closes it by ending.
        capture = await asyncio.to_thread(cv2.VideoCapture, str(self._settings.path))
        began_s = time.monotonic()
        for number in itertools.count():
            picture = await asyncio.to_thread(_next, cv2, capture, number)
            if picture is None:
                return
            if self._settings.paced:
                await asyncio.sleep(began_s + picture.at_s - time.monotonic())
            await intake.turn()
            await intake.offer(
                Captured(str(self._offered), picture.pixels, time.monotonic() + self._settings.deadline_ms / 1e3)
            )
            self._offered += 1


def _next(cv2: Any, capture: Any, number: int) -> Picture | None:
    """The next picture; None at the end."""
    got, picture = capture.read()
    if not got:
        return None
    at_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
    return Picture(rgb(cv2, picture), at_s or number / (capture.get(cv2.CAP_PROP_FPS) or USUAL_RATE))
