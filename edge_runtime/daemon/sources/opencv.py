"""OpenCV where it is installed, and its pictures as frames."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import SourceError

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray


def opencv() -> ModuleType:
    """The module, quiet and on one thread; raises SourceError where there is none."""
    # FFmpeg inside it would write lines of its own to standard error.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise SourceError(
            "cameras and videos need OpenCV; pip install edge-runtime[camera], or the board's own"
        ) from error
    cv2.setLogLevel(0)
    cv2.setNumThreads(1)
    return cv2


def has_gstreamer(cv2: ModuleType) -> bool:
    """Whether this build of OpenCV can run GStreamer pipelines."""
    return re.search(r"GStreamer:\s+YES", cv2.getBuildInformation()) is not None


def rgb(cv2: ModuleType, picture: Any) -> NDArray[np.uint8]:
    """Pixels ``[height, width, 3]`` of what OpenCV captured: grey, blue-green-red, or that with alpha."""
    codes = {2: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
    converted: NDArray[np.uint8] = cv2.cvtColor(picture, codes[2 if picture.ndim == 2 else picture.shape[2]])
    return converted
