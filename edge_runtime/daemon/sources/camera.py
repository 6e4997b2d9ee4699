"""A camera by OpenCV: the newest frame whenever one is wanted."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from edge_runtime.daemon.frames import Captured
from edge_runtime.daemon.sources.opencv import has_gstreamer, opencv, rgb
from edge_runtime.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.daemon import config
    from edge_runtime.daemon.intake import Intake

# A camera that is gone is asked for again after the first, and each time after twice as long, up to the last.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0
# So long a thread that waits for a frame may take to let its camera go.
RELEASE_S = 3.0


class Camera:
    """Frames of a camera, named by their number from 0; of one event loop.

    A camera that is not there, or goes away, is waited for; ``trouble`` says so meanwhile, and is empty else.
    """

    def __init__(self, settings: config.Camera) -> None:
        self._settings = settings
        self._grabber: _Grabber | None = None

    @property
    def trouble(self) -> str:
        """Why nothing comes at the moment."""
        return self._grabber.trouble if self._grabber else ""

    async def run(self, intake: Intake) -> None:
        """Offer frames until cancelled; raises SourceError for a camera that this OpenCV could never open."""
        intake.begun.set()
        cv2 = await asyncio.to_thread(opencv)
        self._grabber = grabber = _Grabber(cv2, self._settings)
        spacing_s = 1 / self._settings.max_fps if self._settings.max_fps else 0.0
        grabber.start()
        number = 0
        try:
            while True:
                pixels = await grabber.newest()
                await intake.offer(Captured(str(number), pixels, time.monotonic() + self._settings.deadline_ms / 1e3))
                number += 1
                await asyncio.sleep(spacing_s)
        finally:
            grabber.stop.set()
            await asyncio.to_thread(grabber.join, RELEASE_S)


class _Wanted(NamedTuple):
    loop: asyncio.AbstractEventLoop
    pixels: asyncio.Future[NDArray[np.uint8]]


class _Grabber(threading.Thread):
    """Takes every frame from the driver, so that none waits there and grows old; decodes those that are wanted."""

    def __init__(self, cv2: Any, settings: config.Camera) -> None:
        super().__init__(name=f"camera {settings.name}", daemon=True)
        self.trouble = ""
        self.stop = threading.Event()
        self._cv2, self._settings = cv2, settings
        self._open = _opener(cv2, settings.device)
        self._log = structlog.get_logger(source=settings.name)
        self._wanted: _Wanted | None = None

    async def newest(self) -> NDArray[np.uint8]:
        """The next frame, uint8 ``[height, width, 3]``, RGB."""
        loop = asyncio.get_running_loop()
        self._wanted = wanted = _Wanted(loop, loop.create_future())
        return await wanted.pixels

    def run(self) -> None:
        """Open the camera, again and again."""
        wait_s = FIRST_WAIT_S
        while not self.stop.is_set():
            if self._take_frames():
                wait_s = FIRST_WAIT_S
            if not self.trouble and not self.stop.is_set():
                self.trouble = f"{self._settings.device}: gives no frames; is the camera connected, and free?"
            self.stop.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _take_frames(self) -> bool:
        """Take frames until there are no more; whether there were any."""
        capture = self._open()
        if capture is None or not capture.isOpened():
            return False
        self._set_up(capture)
        any_came = False
        try:
            while not self.stop.is_set() and capture.grab():
                any_came = True
                self._hand_over(capture)
        finally:
            capture.release()
        return any_came

    def _set_up(self, capture: Any) -> None:
        """Ask for size and rate; cameras give what they can."""
        cv2, settings = self._cv2, self._settings
        asked = {
            "width": (cv2.CAP_PROP_FRAME_WIDTH, settings.width),
            "height": (cv2.CAP_PROP_FRAME_HEIGHT, settings.height),
            "fps": (cv2.CAP_PROP_FPS, settings.fps),
        }
        for name, (setting, value) in asked.items():
            if value is not None:
                capture.set(setting, value)
                if capture.get(setting) != value:
                    self._log.warning("the camera chose otherwise", asked=f"{name} {value}", given=capture.get(setting))
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def _hand_over(self, capture: Any) -> None:
        """Decode the frame that was taken, if anybody waits for one."""
        wanted = self._wanted
        if wanted is None:
            return
        got, picture = capture.retrieve()
        if not got:
            return
        self.trouble = ""
        self._wanted = None
        try:
            wanted.loop.call_soon_threadsafe(_resolve, wanted.pixels, rgb(self._cv2, picture))
        except RuntimeError:
            # The loop was closed while this thread waited for its last frame.
            self.stop.set()


def _resolve(pixels: asyncio.Future[NDArray[np.uint8]], frame: NDArray[np.uint8]) -> None:
    if not pixels.done():
        pixels.set_result(frame)


def _opener(cv2: Any, device: str) -> Callable[[], Any]:
    """What opens it, giving None while it is not there; raises SourceError for what this OpenCV lacks."""
    if "!" in device:
        if not has_gstreamer(cv2):
            raise SourceError(
                "camera: this OpenCV has no GStreamer; use the board's own (Debian's python3-opencv, JetPack's)"
            )
        return lambda: cv2.VideoCapture(device, cv2.CAP_GSTREAMER)
    if device.isascii() and device.isdigit():
        return lambda: cv2.VideoCapture(int(device))
    return lambda: cv2.VideoCapture(device) if Path(device).exists() else None
