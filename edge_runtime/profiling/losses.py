"""What each way of packing frames costs: bytes, time, and right answers lost, on labelled photos through the server."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tqdm import tqdm

from edge_runtime.messages import Frame
from edge_runtime.photos import open_frame
from edge_runtime.scheduling.tables import Level
from edge_runtime.systems.driver import drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Reply, Request
    from edge_runtime.models.bundle import FrameSpec
    from edge_runtime.scheduling.device import Device
    from edge_runtime.scheduling.tables import LevelCodec
    from edge_runtime.systems import BatchSystem

    Call = Callable[[Request, float], Reply]

JPEG_QUALITIES = (5, 10, 20, 25, 30, 35, 40, 50, 60, 75, 90)
# Five steps nearly double a map's bytes.
FF_QUALITIES = (15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 70, 80)
UNIFORM_BITS = 8
HALF_BITS = 16
# Photos that cross the link together.
CHUNK = 8


class Way(NamedTuple):
    """One way of packing what travels from a site: see `tables.Level`."""

    cut: str
    codec: LevelCodec
    quality: int


@dataclass
class _Record:
    """What a way did, photo by photo; times are sums over all photos."""

    right: list[bool] = field(default_factory=list)
    payload_bytes: int = 0
    encode_s: float = 0.0
    decode_s: float = 0.0


def ways(cuts: Sequence[str]) -> list[Way]:
    """Photos and every cut's maps in steps of quality, and the maps uncompressed and at 8 bits, for the rivals."""
    found = [Way("", "jpeg", quality) for quality in JPEG_QUALITIES]
    for cut in cuts:
        found += [Way(cut, "ff", quality) for quality in FF_QUALITIES]
        found += [Way(cut, "half", HALF_BITS), Way(cut, "uniform", UNIFORM_BITS)]
    return found


class Measured(NamedTuple):
    """The levels of every site, by cut (empty: photos), and what the whole network on the device loses."""

    levels: Mapping[str, tuple[Level, ...]]
    local_loss: float
    local_loss_error: float


def measure_levels(device: Device, frame: FrameSpec, call: Call, photos: Sequence[Photo]) -> Measured:
    """Every way of packing frames, and none: the server's whole network on lossless photos is the reference."""
    records = {way: _Record() for way in ways(list(device.cuts))}
    reference, here = _Record(), _Record()
    chunks = tqdm(list(_chunks(frame, photos)), desc="losses", unit="photo", unit_scale=CHUNK, disable=None)
    for labels, frames in chunks:
        _answer(device.lossless(), frames, labels, call, reference)
        _answer(device.local(), frames, labels, call, here)
        for way, record in records.items():
            _answer(device.sending(*way), frames, labels, call, record)
    found: dict[str, list[Level]] = {}
    for way, record in records.items():
        found.setdefault(way.cut, []).append(_level(way, record, reference))
    return Measured({cut: tuple(levels) for cut, levels in found.items()}, *_loss(here, reference))


def _chunks(frame: FrameSpec, photos: Sequence[Photo]) -> Iterator[tuple[list[int], list[Frame]]]:
    for first in range(0, len(photos), CHUNK):
        chunk = list(enumerate(photos[first : first + CHUNK], first))
        yield (
            [photo.label for _, photo in chunk],
            [Frame(place, open_frame(photo.data, frame)) for place, photo in chunk],
        )


def _answer(system: BatchSystem, frames: Sequence[Frame], labels: Sequence[int], call: Call, record: _Record) -> None:
    answers = drive(system.infer_batch(frames), call)
    record.right += [answer.label == label for answer, label in zip(answers, labels, strict=True)]
    record.payload_bytes += sum(answer.payload_bytes for answer in answers)
    record.encode_s += answers[0].timings_ms.get("encode", 0.0) / 1e3
    record.decode_s += answers[0].timings_ms.get("server_decode", 0.0) / 1e3


def _loss(record: _Record, reference: _Record) -> tuple[float, float]:
    """The share of photos that were answered right and are no more, and its standard error.

    Wrong answers that became right are not set against them: on other photos the network may have fewer to mend.
    """
    count = len(reference.right)
    lost = sum(before and not now for before, now in zip(reference.right, record.right, strict=True)) / count
    return lost, math.sqrt(lost * (1 - lost) / count)


def _level(way: Way, record: _Record, reference: _Record) -> Level:
    count = len(record.right)
    loss, loss_error = _loss(record, reference)
    return Level(
        codec=way.codec,
        quality=way.quality,
        payload_bytes=record.payload_bytes / count,
        encode_s=record.encode_s / count,
        decode_s=record.decode_s / count,
        loss=loss,
        loss_error=loss_error,
    )
