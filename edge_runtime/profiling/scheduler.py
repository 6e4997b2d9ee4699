"""The scheduler's tables, measured: each part of each mode on this device and, through the link, on the server.

Parts are timed in rounds, one run of each after the other, and the median of the rounds counts: what else the machine
does meanwhile falls on all of them alike.
"""

from __future__ import annotations

import platform
import statistics
import threading
import time
from collections import defaultdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from tqdm import tqdm

from edge_runtime.errors import LinkError, PhotoError
from edge_runtime.messages import Frame
from edge_runtime.photos import open_frame
from edge_runtime.profiling.losses import Measured, measure_levels
from edge_runtime.scheduling.plans import BATCHES
from edge_runtime.scheduling.tables import FORMAT, Origin, Site, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Answer, Reply, Request
    from edge_runtime.models import Bundle
    from edge_runtime.scheduling.device import Device
    from edge_runtime.scheduling.tables import Level, LevelCodec, Times
    from edge_runtime.systems import BatchSystem

ROUNDS = 7
PINGS, PATIENCE_S = 15, 5.0
# Of one frame each, so many at a time: what a server makes of requests that follow each other closely.
REQUESTS, TOGETHER = 240, 8
# The link's rate is taken from a request that crosses it for so long at least, if one can be made.
CROSSING_S = 0.3
TYPICAL: dict[bool, tuple[LevelCodec, int]] = {False: ("jpeg", 75), True: ("ff", 50)}


class Part(NamedTuple):
    """Something that is timed: the whole network or a site's part, for a number of frames; ``cut`` empty for photos."""

    what: str
    cut: str
    batch: int


def measure(bundle: Bundle, device: Device, link: MeasuredLink, photos: Sequence[Photo], server: str) -> Tables:
    """Measure everything, with the server called ``server``; ``photos`` are labelled, as many as the largest batch.

    Raises LinkError and PhotoError.
    """
    timed = _time(bundle, device, link, photos, max(BATCHES))
    measured = measure_levels(device, bundle.frame, link.call, photos)
    return _tables(bundle, device, timed, measured, _origin(device, server, len(photos)))


def retime(
    known: Tables,
    bundle: Bundle,
    device: Device,
    link: MeasuredLink,
    photos: Sequence[Photo],
    most_frames: int = max(BATCHES),
) -> Tables:
    """Measure times and link again, and keep what ``known`` has of bytes and losses; raises as `measure`.

    Runs of more than ``most_frames`` are left out. So many photos are enough, and their labels do not matter.
    """
    timed = _time(bundle, device, link, photos, most_frames)
    fresh = measure_levels(device, bundle.frame, link.call, photos[:most_frames])
    levels = {
        cut: tuple(_retimed(known.site(cut).level(one.name), one) for one in found)
        for cut, found in fresh.levels.items()
    }
    kept = Measured(levels, known.local_loss, known.local_loss_error)
    return _tables(bundle, device, timed, kept, _origin(device, known.origin.server, known.origin.photos))


def _retimed(known: Level, fresh: Level) -> Level:
    return msgspec.structs.replace(known, encode_s=fresh.encode_s, decode_s=fresh.decode_s)


class _Timed(NamedTuple):
    times: dict[tuple[str, str], Times]
    handing: _Handing
    weights: _Weights
    bandwidth: float
    round_trip_s: float
    largest: int


def _time(bundle: Bundle, device: Device, link: MeasuredLink, photos: Sequence[Photo], most_frames: int) -> _Timed:
    largest = min(link.client.describe().max_frames, most_frames)
    batches = [batch for batch in BATCHES if batch <= largest]
    if len(photos) < max(batches):
        raise PhotoError(f"photos: {len(photos)} are too few to time batches of {max(batches)}; give more")
    shown = photos[: max(batches)]
    frames = [Frame(number, open_frame(photo.data, bundle.frame)) for number, photo in enumerate(shown)]
    times = _times(device, link, frames, batches)
    round_trip_s = statistics.median(link.client.ping(PATIENCE_S) for _ in range(PINGS))
    return _Timed(
        times=times,
        handing=_handing(device, link, frames[0], times),
        weights=_weights(device, link, frames[0]),
        bandwidth=_bandwidth(device, link, frames, round_trip_s),
        round_trip_s=round_trip_s,
        largest=largest,
    )


def _tables(bundle: Bundle, device: Device, timed: _Timed, measured: Measured, origin: Origin) -> Tables:
    times = timed.times
    sites = tuple(
        Site(cut, times["before", cut] if cut else {}, times["behind", cut], measured.levels[cut])
        for cut in ("", *device.cuts)
    )
    return Tables(
        format=FORMAT,
        bundle_hash=bundle.hash,
        network=device.network,
        origin=origin,
        local_s=times["local", ""],
        sites=sites,
        request_s=timed.handing.request_s,
        serving_s=timed.handing.serving_s,
        request_bytes=timed.weights.request,
        reply_bytes=timed.weights.reply,
        bandwidth=timed.bandwidth,
        round_trip_s=timed.round_trip_s,
        largest_batch=timed.largest,
        local_loss=measured.local_loss,
        local_loss_error=measured.local_loss_error,
    )


def _times(
    device: Device, link: MeasuredLink, frames: Sequence[Frame], batches: Sequence[int]
) -> dict[tuple[str, str], Times]:
    """Seconds of every part by batch."""
    taken: dict[Part, list[float]] = defaultdict(list)
    for _ in tqdm(range(ROUNDS), desc="times", unit="round", disable=None):
        for batch in batches:
            some = frames[:batch]
            # Each part's first run only brings back what the others drove out of the caches.
            for _ in range(2):
                alone_s = _alone_s(device.local(), some)
            taken[Part("local", "", batch)].append(alone_s)
            for cut in ("", *device.cuts):
                for _ in range(2):
                    answer, device_s = _remote(device.sending(cut, *TYPICAL[bool(cut)]), link, some)
                taken[Part("behind", cut, batch)].append(answer.timings_ms["server_compute"] / 1e3)
                if cut:
                    taken[Part("before", cut, batch)].append(device_s - answer.timings_ms["encode"] / 1e3)
    found: dict[tuple[str, str], Times] = defaultdict(dict)
    for part, rounds in taken.items():
        found[part.what, part.cut][part.batch] = statistics.median(rounds)
    return found


def _alone_s(system: BatchSystem, frames: Sequence[Frame]) -> float:
    start = time.perf_counter()
    for _ in system.infer_batch(frames):
        raise AssertionError("a system that sends nothing asked the server")
    return time.perf_counter() - start


def _remote(system: BatchSystem, link: MeasuredLink, frames: Sequence[Frame]) -> tuple[Answer, float]:
    """One of the answers, which all have the batch's times, and the device's seconds up to the request."""
    start = time.perf_counter()
    inference = system.infer_batch(frames)
    request = next(inference)
    device_s = time.perf_counter() - start
    try:
        inference.send(link.call(request))
    except StopIteration as finished:
        answers: list[Answer] = finished.value
        return answers[0], device_s
    raise AssertionError("one request should have been enough")


def _request(device: Device, frames: Sequence[Frame], cut: str) -> Request:
    return next(device.sending(cut, *TYPICAL[bool(cut)]).infer_batch(frames))


class _Handing(NamedTuple):
    """What a request costs beyond its payload: seconds of the device, and of the server."""

    request_s: float
    serving_s: float


def _handing(device: Device, link: MeasuredLink, frame: Frame, times: Mapping[tuple[str, str], Times]) -> _Handing:
    """From requests that follow each other closely, as a scheduler's do: each one's handing over, and their pace."""
    cut = list(device.cuts)[-1]
    request = _request(device, [frame], cut)
    decode_s = link.call(request).timings_ms["decode"] / 1e3
    room, failed = threading.Semaphore(TOGETHER), []

    def done(reply: Reply | LinkError) -> None:
        if isinstance(reply, LinkError):
            failed.append(reply)
        room.release()

    taken = []
    start = time.perf_counter()
    for _ in range(REQUESTS):
        room.acquire()
        handed = time.perf_counter()
        link.client.start(request, PATIENCE_S, done)
        taken.append(time.perf_counter() - handed)
    for _ in range(TOGETHER):
        room.acquire()
    pace_s = (time.perf_counter() - start) / REQUESTS
    if failed:
        raise failed[0]
    # Requests that wait share runs where that pays, so a frame computes as in the best of them.
    compute_s = min(taken_s / batch for batch, taken_s in times["behind", cut].items() if batch <= TOGETHER)
    return _Handing(statistics.median(taken), max(pace_s - decode_s - compute_s, 0.0))


class _Weights(NamedTuple):
    request: float
    reply: float


def _weights(device: Device, link: MeasuredLink, frame: Frame) -> _Weights:
    """Bytes on the wire beside the payload of a request, and of its reply."""
    request = _request(device, [frame], next(iter(device.cuts)))
    up, down = link.bytes_up, link.bytes_down
    for _ in range(TOGETHER):
        link.call(request)
    payload = len(request.payloads[0].data)
    return _Weights((link.bytes_up - up) / TOGETHER - payload, (link.bytes_down - down) / TOGETHER)


def _bandwidth(device: Device, link: MeasuredLink, frames: Sequence[Frame], round_trip_s: float) -> float:
    """Bytes a second upwards, from ever larger requests until one takes long enough to be timed well."""
    system = device.lossless()
    count = 1
    while True:
        request = next(system.infer_batch(frames[:count]))
        start = time.perf_counter()
        reply = link.call(request)
        crossing_s = time.perf_counter() - start - sum(reply.timings_ms.values()) / 1e3 - round_trip_s
        size = sum(len(payload.data) for payload in request.payloads)
        if crossing_s > CROSSING_S or count == len(frames):
            return size / max(crossing_s, 1e-6)
        count = min(2 * count, len(frames))


def _origin(device: Device, server: str, photos: int) -> Origin:
    return Origin(
        device=_machine(),
        server=server,
        runtime=device.whole.runtime,
        precision=device.whole.precision,
        threads=device.threads,
        date=datetime.now(timezone.utc).date().isoformat(),
        photos=photos,
        edge_runtime=version("edge-runtime"),
    )


def _machine() -> str:
    """The processor as the system names it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return f"{named[-1] if named else platform.processor() or 'unknown'} ({platform.machine()})"
