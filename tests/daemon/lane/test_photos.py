"""Frames of every sort on their way through a lane: photos, pixels, and what is neither."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs

from edge_runtime.codecs import image
from edge_runtime.daemon.answering import Outcome
from edge_runtime.daemon.frames import Record
from edge_runtime.daemon.lane import WHOLE_EVERY
from edge_runtime.errors import PhotoError
from edge_runtime.messages import Answer, Frame, Mode

if TYPE_CHECKING:
    from edge_runtime.daemon.frames import Captured


def test_a_record_says_all_there_is_to_say_of_a_photo(workplace: Any, photos: list[bytes]) -> None:
    """Its times add up, and its whole bytes are those of the file."""

    def say(frame: Frame) -> Outcome:
        answer = Answer(
            np.eye(10, dtype=np.float32)[3],
            3,
            "server",
            1.5,
            patches_sent=7,
            payload_bytes=900,
            rounds=2,
            note="for a test",
            timings_ms={"edge": 3.0},
            mode=Mode(2, 4),
        )
        assert frame.deadline_s == captured.deadline_s
        return Outcome(answer)

    async def test() -> None:
        nonlocal captured
        captured = workplace.due(photos[0])
        lane = await workplace.lane(workplace.saying(say))
        (record,) = await workplace.ask(lane, captured)
        await workplace.end(lane)
        assert isinstance(record, Record)
        assert (record.key, record.source, record.name) == (captured.key, "gate", "one.jpg")
        assert (record.system, record.bundle_hash) == ("local", workplace.bundle.hash)
        assert (record.label, record.probability) == (workplace.bundle.classes[3], 1.0)
        assert (record.decided_by, record.why, record.min_entropy) == ("server", "for a test", 1.5)
        assert (record.patches_sent, record.payload_bytes, record.rounds) == (7, 900, 2)
        assert record.whole_bytes == len(photos[0])
        assert record.mode == {"encoders": 2, "levels": 4}
        assert record.captured == captured.captured.isoformat(timespec="milliseconds")
        assert record.captured.endswith("+00:00")
        assert record.timings_ms.keys() == {"queue", "decode", "edge"}
        assert record.latency_ms >= record.timings_ms["queue"] + record.timings_ms["decode"]
        assert record.deadline_ms == pytest.approx(10_000, abs=100)
        assert record.in_time
        assert not record.revises

    captured: Captured
    asyncio.run(test())


def test_a_cameras_pixels_are_fitted_and_their_whole_bytes_measured_now_and_then(workplace: Any) -> None:
    """By a JPEG of the first of so many frames, for each would take a camera's time."""

    async def test() -> None:
        noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
        flat = np.zeros_like(noise)
        lane = await workplace.lane(workplace.saying(shape), in_flight=1)
        records = await workplace.ask(lane, *(workplace.due(pixels) for pixels in (noise, *[flat] * WHOLE_EVERY)))
        await workplace.end(lane)
        whole = [record.whole_bytes for record in records if isinstance(record, Record)]
        sizes = [len(image.encode(pixels, "jpeg", 75)) for pixels in (noise, flat)]
        assert whole == [sizes[0]] * WHOLE_EVERY + [sizes[1]]

    def shape(frame: Frame) -> Outcome:
        assert frame.pixels.shape == (224, 224, 3)
        return workplace.sure(frame)

    asyncio.run(test())


def saved(mode: str, form: str, size: tuple[int, int] = (40, 30)) -> bytes:
    """A photo of Pillow's."""
    out = io.BytesIO()
    Image.new(mode, size, 200).save(out, form)
    return out.getvalue()


@pytest.mark.parametrize(
    "photo",
    [
        saved("RGB", "JPEG", (1, 1)),
        saved("L", "JPEG"),
        saved("CMYK", "JPEG"),
        saved("RGBA", "PNG"),
        saved("P", "PNG"),
        saved("1", "PNG"),
        saved("I;16", "PNG"),
        saved("RGB", "WEBP"),
    ],
    ids=["1x1", "grey", "cmyk", "alpha", "palette", "bits", "16 bit", "webp"],
)
def test_photos_of_every_sort_are_answered(workplace: Any, photo: bytes) -> None:
    """Whatever they are, they become frames."""

    async def test() -> None:
        lane = await workplace.lane(workplace.saying(workplace.sure))
        (record,) = await workplace.ask(lane, workplace.due(photo))
        await workplace.end(lane)
        assert isinstance(record, Record)
        assert record.whole_bytes == len(photo)

    asyncio.run(test())


def test_what_cannot_be_read_is_refused_and_the_next_one_answered(workplace: Any, photos: list[bytes]) -> None:
    """Both futures say why; each is counted and the first logged, and no sink hears of it."""

    async def test() -> None:
        sink = workplace.sink()
        lane = await workplace.lane(workplace.saying(workplace.sure), sink)
        bad = [photos[0][: len(photos[0]) // 2], b"To whom it may concern", b"", photos[0][:20], b"\x89PNG\r\n\x1a\n"]
        for number, photo in enumerate(bad):
            captured = workplace.due(photo, f"{number}.jpg")
            (error,) = await workplace.ask(lane, captured)
            assert isinstance(error, PhotoError), number
            assert captured.answered.exception() is error
            (record,) = await workplace.ask(lane, workplace.due(photos[0]))
            assert isinstance(record, Record)
        await workplace.end(lane)
        assert len(sink.records) == len(bad)

    with capture_logs() as logs:
        asyncio.run(test())
    assert (workplace.state().refused, workplace.state().frames) == (5, 10)
    # Whoever sends photos that are none must not fill the log.
    assert [one["photo"] for one in logs if one["event"] == "a photo was refused"] == ["0.jpg"]
