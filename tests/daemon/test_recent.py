"""The last frames as pictures."""

from __future__ import annotations

import base64
import io
from itertools import count
from threading import Thread

import msgspec
import numpy as np
import pytest
from PIL import Image

from edge_runtime.daemon.frames import Record
from edge_runtime.daemon.recent import Recent

PIXELS = np.full((32, 32, 3), (200, 40, 40), np.uint8)
SENT = np.array([1, 2, 15], np.uint16)
ATTENTION = np.linspace(-1, 3, 16, dtype=np.float32)


def add(recent: Recent, record: Record, name: str = "one.jpg") -> None:
    """One more frame."""
    recent.add(msgspec.structs.replace(record, name=name), PIXELS, 4, SENT, ATTENTION)


def test_a_picture_has_photo_patches_and_scaled_attention(one_record: Record) -> None:
    """The JSON that a page gets holds a JPEG at the frame's size, the places sent, and attention from 0 to 255."""
    recent = Recent(3)
    add(recent, one_record)
    (shown,) = recent.since(0)
    told = msgspec.json.decode(shown.to_json())
    with Image.open(io.BytesIO(base64.b64decode(told["photo"]))) as photo:
        assert (photo.format, photo.size) == ("JPEG", (32, 32))
        assert np.abs(np.asarray(photo).astype(int) - PIXELS).mean() < 5
    assert told["sent"] == [1, 2, 15]
    assert told["grid"] == 4
    assert list(base64.b64decode(told["attention"])) == [17 * place for place in range(16)]
    assert told["record"]["name"] == "one.jpg"


@pytest.mark.parametrize("attention", [None, np.full(16, 0.5, np.float32)], ids=["none", "even"])
def test_attention_may_be_missing_or_say_nothing(one_record: Record, attention: np.ndarray | None) -> None:
    """Without attention there is none; where it is the same everywhere it is 0."""
    recent = Recent(3)
    recent.add(one_record, PIXELS, 4, SENT, attention)
    assert recent.since(0)[0].attention == (None if attention is None else bytes(16))


def test_only_the_last_are_kept_and_given_once(one_record: Record) -> None:
    """Of five frames a second apart three remain; whoever has seen one gets those after it."""
    recent = Recent(3, clock=map(float, count()).__next__)
    for name in "abcde":
        add(recent, one_record, name)
    assert [shown.record.name for shown in recent.since(0)] == ["c", "d", "e"]
    assert [shown.record.name for shown in recent.since(4)] == ["e"]
    assert recent.since(5) == []


def test_frames_that_follow_too_closely_are_left_out(one_record: Record) -> None:
    """A picture is made of a frame at most every 200 ms."""
    times = iter([0.0, 0.1, 0.19, 0.2, 0.3, 0.41])
    recent = Recent(10, clock=lambda: next(times))
    for name in "abcdef":
        add(recent, one_record, name)
    assert [shown.record.name for shown in recent.since(0)] == ["a", "d", "f"]


def test_nothing_is_made_for_no_room(one_record: Record) -> None:
    """With no frames to keep for the page, none is made into a picture."""
    recent = Recent(0)
    add(recent, one_record)
    assert recent.since(0) == []


def test_several_threads_may_add(one_record: Record) -> None:
    """Each picture has a serial of its own whatever thread made it."""
    recent = Recent(100, clock=map(float, count()).__next__)
    threads = [Thread(target=lambda: [add(recent, one_record) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(shown.serial for shown in recent.since(0)) == list(range(1, 81))
