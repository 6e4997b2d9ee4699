"""A video file, frame by frame."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.intake import Intake
from edge_runtime.daemon.sources.opencv import has_gstreamer, rgb
from edge_runtime.daemon.sources.video import Video
from edge_runtime.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.daemon.frames import Captured

pytestmark = pytest.mark.host

RATE, COUNT = 50.0, 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A video of ten frames, red and ever brighter, 20 ms apart."""
    found = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(found), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (64, 48))
    for number in range(COUNT):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[..., 2] = brightness(number)
        writer.write(picture)
    writer.release()
    return found


def brightness(number: int) -> int:
    """Of a frame."""
    return 40 + 20 * number


def settings(path: Path, **keys: Any) -> config.Video:
    """Of a video."""
    return config.Video(name="tape", system=config.Local(), path=path, **keys)


def frames(source: config.Video, capacity: int = COUNT) -> list[Captured]:
    """All frames of a video that ends."""

    async def scenario() -> list[Captured]:
        intake = Intake(capacity, "oldest", "wait", None, lambda _: None)
        await Video(source).run(intake)
        await intake.close()
        found = []
        while captured := await intake.take():
            found.append(captured)
        return found

    return asyncio.run(scenario())


def test_every_frame_comes_in_colour_and_in_order(path: Path) -> None:
    """Red, green, blue; named by their numbers."""
    found = frames(settings(path, paced=False, deadline_ms=500))
    assert [captured.name for captured in found] == [str(number) for number in range(COUNT)]
    for number, captured in enumerate(found):
        assert isinstance(captured.image, np.ndarray)
        assert (captured.image.shape, captured.image.dtype) == ((48, 64, 3), np.uint8)
        red, green, blue = captured.image.mean((0, 1))
        assert red == pytest.approx(brightness(number), abs=6)
        assert max(green, blue) < 10
        assert captured.deadline_s - captured.captured_s == pytest.approx(0.5, abs=0.05)


def test_a_paced_video_takes_its_own_time(path: Path) -> None:
    """No frame comes before it is due."""
    found = frames(settings(path))
    assert found[-1].captured_s - found[0].captured_s >= (COUNT - 2) / RATE


def test_a_video_that_repeats_counts_on(path: Path) -> None:
    """It begins anew and never ends; it waits while the queue is full, and stops when it is told."""

    async def scenario() -> None:
        intake = Intake(1, "oldest", "wait", None, lambda _: None)
        running = asyncio.create_task(Video(settings(path, paced=False, repeat=True)).run(intake))
        taken = [await asyncio.wait_for(intake.take(), 20) for _ in range(2 * COUNT + 1)]
        assert [captured.name for captured in taken if captured] == [str(number) for number in range(2 * COUNT + 1)]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())


@pytest.mark.parametrize("content", [None, b"", b"no video at all" * 100])
def test_a_file_that_is_no_video_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Or that is not there; also one that would be repeated."""
    path = tmp_path / "x.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.avi: no frame can be read from it"):
        frames(settings(path, repeat=True))


def test_without_opencv_the_extra_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else of the daemon needs it."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SourceError, match=r"pip install edge-runtime\[camera\]"):
        frames(settings(path))


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3), (4, 6, 4)])
def test_grey_pictures_and_those_with_alpha_become_rgb(shape: tuple[int, ...]) -> None:
    """Whatever a camera gives, three channels come out."""
    picture = np.full(shape, 7, np.uint8)
    assert rgb(cv2, picture).tolist() == np.full((4, 6, 3), 7).tolist()


def test_gstreamer_is_looked_for_in_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index's build has none, a board's own does."""
    for word, expected in (("NO", False), ("YES (1.22.0)", True)):
        monkeypatch.setattr(cv2, "getBuildInformation", lambda word=word: f"  GStreamer:         {word}\n")
        assert has_gstreamer(cv2) is expected
