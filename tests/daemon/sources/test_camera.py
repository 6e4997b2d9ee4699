"""A camera; a video file stands for one, which ends and is opened anew as a camera does that comes and goes."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.intake import Intake
from edge_runtime.daemon.sources import camera
from edge_runtime.daemon.sources.camera import Camera
from edge_runtime.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edge_runtime.daemon.frames import Captured

pytestmark = pytest.mark.host


@pytest.fixture(autouse=True)
def _is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(camera, "LONGEST_WAIT_S", 0.02)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """Five blue frames of 64 × 48."""
    path = tmp_path / "video0"
    writer = cv2.VideoWriter(f"{path}.avi", cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for _ in range(5):
        writer.write(np.full((48, 64, 3), (200, 0, 0), np.uint8))
    writer.release()
    return path.with_suffix(".avi").rename(path)


def settings(device: Path | str, **keys: Any) -> config.Camera:
    """Of a camera."""
    return config.Camera(name="cam", system=config.Local(), device=str(device), **keys)


@asynccontextmanager
async def running(source: Camera, max_fps: float | None = None) -> AsyncIterator[tuple[Intake, list[str]]]:
    """The queue of a camera that runs, and why frames were dropped."""
    dropped: list[str] = []
    intake = Intake(2, "oldest", "drop-oldest", max_fps, dropped.append)
    task = asyncio.create_task(source.run(intake))
    try:
        yield intake, dropped
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def taken(intake: Intake) -> Captured:
    """The next frame; fails when none comes."""
    captured = await asyncio.wait_for(intake.take(), 20)
    assert captured is not None
    return captured


def test_frames_come_in_colour_one_after_the_other(device: Path) -> None:
    """Blue is the last channel; also across a camera's end, after which it is opened anew."""

    async def scenario() -> None:
        async with running(Camera(settings(device, deadline_ms=500))) as (intake, _):
            numbers = []
            for _ in range(12):
                captured = await taken(intake)
                assert isinstance(captured.image, np.ndarray)
                assert captured.image.shape == (48, 64, 3)
                assert captured.image.mean((0, 1)) == pytest.approx([0, 0, 200], abs=8)
                assert captured.deadline_s - captured.captured_s == pytest.approx(0.5, abs=0.05)
                numbers.append(int(captured.name))
            assert numbers == sorted(set(numbers))

    asyncio.run(scenario())
    assert not [thread for thread in threading.enumerate() if thread.name == "camera cam"]


def test_frames_that_came_too_soon_are_not_even_decoded(device: Path) -> None:
    """With a highest rate the queue drops none for coming too soon, because none is asked for before its time."""

    async def scenario() -> None:
        async with running(Camera(settings(device, max_fps=50.0)), max_fps=50.0) as (intake, dropped):
            for _ in range(6):
                await taken(intake)
            assert dropped == []

    asyncio.run(scenario())


def test_a_camera_that_went_away_is_waited_for(device: Path, tmp_path: Path) -> None:
    """And one that was never there; meanwhile the trouble is named."""

    async def scenario() -> None:
        away = device.rename(tmp_path / "away")
        source = Camera(settings(device))
        assert source.trouble == ""
        async with running(source) as (intake, _):
            for _ in range(2):
                while not source.trouble:
                    while len(intake):
                        await taken(intake)
                    await asyncio.sleep(0.01)
                assert source.trouble.endswith("video0: gives no frames; is the camera connected, and free?")
                while len(intake):
                    await taken(intake)
                away.rename(device)
                await taken(intake)
                device.rename(away)

    asyncio.run(scenario())


def test_a_device_that_is_no_camera_is_trouble(tmp_path: Path) -> None:
    """It may be one a little later, so it is asked again."""
    (tmp_path / "video0").write_bytes(b"")

    async def scenario() -> None:
        source = Camera(settings(tmp_path / "video0"))
        async with running(source):
            while not source.trouble:
                await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_size_that_the_camera_does_not_have_is_no_error(device: Path) -> None:
    """It gives what it can."""

    async def scenario() -> None:
        async with running(Camera(settings(device, width=640, height=480, fps=5))) as (intake, _):
            captured = await taken(intake)
            assert isinstance(captured.image, np.ndarray)
            assert captured.image.shape == (48, 64, 3)

    asyncio.run(scenario())


def test_a_pipeline_needs_an_opencv_with_gstreamer(monkeypatch: pytest.MonkeyPatch) -> None:
    """That will not change by waiting, so the source ends and says whose OpenCV has it."""
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "GStreamer: NO")
    source = Camera(settings("libcamerasrc ! appsink"))
    with pytest.raises(SourceError, match="this OpenCV has no GStreamer; use the board's own"):
        asyncio.run(source.run(Intake(1, "oldest", "drop-oldest", None, lambda _: None)))


def test_a_number_is_a_camera_of_the_system() -> None:
    """Here is none of that number, which is trouble and no error."""

    async def scenario() -> None:
        source = Camera(settings("97"))
        async with running(source):
            while not source.trouble:
                await asyncio.sleep(0.01)

    asyncio.run(scenario())
