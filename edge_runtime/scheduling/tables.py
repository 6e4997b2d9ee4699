"""What the scheduler knows of device, server and codecs: times by batch size, bytes and losses, all measured.

`edge-runtime profile --for-scheduler` writes the file; docs/formats/tables.md describes every key.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
LevelCodec = Literal["jpeg", "ff", "half", "uniform"]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Batch = Annotated[int, msgspec.Meta(gt=0)]
# Seconds of one run, by the number of frames in it.
Times = dict[Batch, Positive]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table: immutable, and an unknown key is an error."""


class Level(_Table, frozen=True):
    """One way of packing what travels from a site, with its mean cost per frame.

    ``quality`` is the codec's, for ``uniform`` the bits of a value. ``loss`` is the share of photos that the whole
    network answers right as they are, and wrong at this level, ``loss_error`` its standard error.
    """

    codec: LevelCodec
    quality: int
    payload_bytes: Positive
    encode_s: Seconds
    decode_s: Seconds
    loss: float
    loss_error: Seconds

    @property
    def name(self) -> str:
        """For example ``ff q40``."""
        if self.codec == "uniform":
            return f"uniform {self.quality} bit"
        return "half" if self.codec == "half" else f"{self.codec} q{self.quality}"

    def within(self, most_loss: float) -> bool:
        """Whether the loss is below ``most_loss`` by its standard error."""
        return self.loss + self.loss_error <= most_loss


class Site(_Table, frozen=True):
    """Where the network may be left: at a cut, or before its first layer (``cut`` empty), where photos travel.

    ``device_s`` are the runs of what lies before it, none where photos travel; ``server_s`` of what lies behind. Else
    no runs mean that they were not timed (see `regression`).
    """

    cut: str
    device_s: Times
    server_s: Times
    levels: tuple[Level, ...]

    @property
    def timed(self) -> bool:
        """Whether all that it takes was timed."""
        return bool(self.server_s) and bool(self.device_s or not self.cut)

    def level(self, name: str) -> Level:
        """The level of that name; raises ArgumentError."""
        for level in self.levels:
            if level.name == name:
                return level
        known = ", ".join(level.name for level in self.levels)
        raise ArgumentError(f"level: {name!r} is not in the tables of {self.cut or 'photos'}; they have {known}")


class Origin(_Table, frozen=True):
    """Where and when the tables were measured."""

    device: str
    server: str
    runtime: str
    precision: str
    threads: int
    date: str
    photos: int
    edge_runtime: str


class Tables(_Table, frozen=True):
    """Everything measured about one network between one device and one server. Times are in seconds.

    ``local_s`` are runs of the whole network on the device, whose own precision may lose answers: ``local_loss``, with
    its standard error, as a `Level` has them. ``request_s`` is what one request costs the device beyond
    encoding, ``serving_s`` what it costs the server beyond decoding and computing; ``request_bytes`` and
    ``reply_bytes`` what crosses the link beside the payload, ``round_trip_s`` and ``bandwidth`` (bytes a second) the
    link as it was then. ``largest_batch`` is the server's.
    """

    format: int
    bundle_hash: str
    network: str
    origin: Origin
    local_s: Times
    sites: tuple[Site, ...]
    request_s: Seconds
    serving_s: Seconds
    request_bytes: Positive
    reply_bytes: Positive
    bandwidth: Positive
    round_trip_s: Seconds
    largest_batch: Batch
    local_loss: float = 0.0
    local_loss_error: Seconds = 0.0

    def local_within(self, most_loss: float) -> bool:
        """Whether what is computed here loses less than ``most_loss`` by its standard error."""
        return self.local_loss + self.local_loss_error <= most_loss

    def slowed(self, factor: float) -> Tables:
        """The tables of a device that takes ``factor`` times as long for networks and encoding, all else alike."""
        replace = msgspec.structs.replace
        sites = [
            replace(
                site,
                device_s=_times(site.device_s, factor),
                levels=tuple(replace(level, encode_s=factor * level.encode_s) for level in site.levels),
            )
            for site in self.sites
        ]
        return replace(self, local_s=_times(self.local_s, factor), sites=tuple(sites))

    def site(self, cut: str) -> Site:
        """The site at that cut, or where photos travel; raises ArgumentError."""
        for site in self.sites:
            if site.cut == cut:
                return site
        known = ", ".join(site.cut or "photos" for site in self.sites)
        raise ArgumentError(f"cut: {cut!r} is not in the tables; they have {known}")


def _times(times: Times, factor: float) -> Times:
    return {batch: factor * taken for batch, taken in times.items()}


def load(path: Path) -> Tables:
    """Read a tables file; raises ArgumentError naming the key that is wrong."""
    try:
        tables = msgspec.json.decode(path.read_bytes(), type=Tables)
    except FileNotFoundError:
        raise ArgumentError(f"{path}: no such file; write it with `edge-runtime profile --for-scheduler`") from None
    except (msgspec.DecodeError, OSError) as error:
        raise ArgumentError(f"{path}: {error}") from error
    if tables.format != FORMAT:
        raise ArgumentError(f"{path}: format {tables.format} is not supported; this version reads {FORMAT}")
    if not tables.local_s:
        raise ArgumentError(f"{path}: local_s is empty; the scheduler must know what the device can do alone")
    return tables


def save(tables: Tables, path: Path) -> None:
    """Write a tables file, readable by people."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(tables), indent=1) + b"\n")


def seconds(times: Times, batch: int) -> float:
    """Seconds of a run of ``batch`` frames: as measured, or on the line between the nearest measured sizes.

    Beyond the largest the line goes on from the last two sizes. No times at all (nothing is computed) take none.
    """
    if not times or batch in times:
        return times.get(batch, 0.0)
    sizes = sorted(times)
    if len(sizes) == 1:
        return times[sizes[0]] * batch / sizes[0]
    above = min(max(bisect.bisect(sizes, batch), 1), len(sizes) - 1)
    low, high = sizes[above - 1], sizes[above]
    slope = (times[high] - times[low]) / (high - low)
    return max(times[low] + slope * (batch - low), min(times.values()) * batch / sizes[-1])
