"""``edge-runtime evaluate --system slimmable --grid``: every mode of a family end to end, beside its rivals."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING

from tqdm import tqdm

from edge_runtime.control.modes import BITS
from edge_runtime.errors import ArgumentError, BundleError
from edge_runtime.evaluation.amot import ask_all
from edge_runtime.evaluation.evaluate import RIVAL_QUALITIES
from edge_runtime.evaluation.points import wilson
from edge_runtime.messages import Frame, Mode, Payload, Request
from edge_runtime.photos import open_frame
from edge_runtime.systems.remote import Remote
from edge_runtime.systems.split import Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.evaluation.split import Cut
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import FrameSpec
    from edge_runtime.systems import System
    from edge_runtime.systems.family import Family

CUT_BUDGETS = (1024, 2048, 3072, 4096)


@dataclass(frozen=True)
class ModeOutcome:
    """What came of one mode; bytes are means per photo, ``encode_ms`` is the median of encoders and coding.

    ``packed_bytes`` is what a payload weighs without entropy coding.
    """

    members: int
    bits: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    payload_bytes: float
    packed_bytes: int
    wire_bytes: float
    encode_ms: float


@dataclass(frozen=True)
class Rival:
    """What came of another way of answering every photo, a point of its curve; bytes are means per photo."""

    curve: str
    setting: str
    accuracy: float
    accuracy_interval: tuple[float, float]
    payload_bytes: float
    wire_bytes: float


def measure_modes(
    photos: Sequence[Photo], family: Family, link: MeasuredLink, levels: Sequence[int]
) -> list[ModeOutcome]:
    """Every number of encoders with each number of levels; a photo is encoded once for each number of encoders.

    Raises ``LinkError``.
    """
    tallies = {Mode(n, level): _Tally() for n in range(1, len(family.encoders) + 1) for level in levels}
    family.encoders.warm_up()
    shown = tqdm(photos, desc=family.spec.name, unit="photo", mininterval=1, leave=False, disable=None)
    for index, photo in enumerate(shown):
        frame = Frame(index, open_frame(photo.data, family.encoders.frame))
        for number in range(1, len(family.encoders) + 1):
            _ask_at_every_level(frame, photo.label, number, family, link, tallies)
    return [tally.outcome(mode, family.codec.packed_bytes(mode.levels)) for mode, tally in tallies.items()]


def whole_network(bundle: Bundle) -> str:
    """The server model that answers whole photos; raises BundleError where there is none."""
    for model in bundle.models("server"):
        if model.kind == "cnn-filled":
            return model.name
    raise BundleError(f"{bundle.folder}: has no whole network for the server; give a bundle with a cnn-filled model")


def teacher_accuracy(photos: Sequence[Photo], bundle: Bundle, link: MeasuredLink) -> float:
    """That of the whole network on photos that were losslessly sent."""
    system = Remote("png", 100, whole_network(bundle))
    return ask_all(system, photos, bundle.frame, link, shown="whole photos, lossless").accuracy


def whole_photos(photos: Sequence[Photo], bundle: Bundle, link: MeasuredLink) -> Iterator[Rival]:
    """Every photo as one image file, answered by the whole network."""
    model = whole_network(bundle)
    for codec, qualities in RIVAL_QUALITIES.items():
        for quality in qualities:
            yield _rival(codec, f"q{quality}", Remote(codec, quality, model), photos, bundle.frame, link)


def cuts(photos: Sequence[Photo], opened: Sequence[Cut], link: MeasuredLink) -> Iterator[Rival]:
    """Cut networks, their maps compressed to some budgets; ``link`` is to their server."""
    for cut in opened:
        for budget in CUT_BUDGETS:
            system = Split(cut.prefix, cut.codec, cut.spec.suffix, budget=budget)
            curve = f"{cut.spec.network}.{cut.spec.cut} ff"
            yield _rival(curve, f"{budget} bytes", system, photos, cut.prefix.frame, link)


def check_alike(bundle: Bundle, rivals: Bundle) -> None:
    """Raise ArgumentError unless both tell the same classes apart."""
    if bundle.classes != rivals.classes:
        raise ArgumentError(f"--split: {rivals.folder} has other classes than the bundle")


def _ask_at_every_level(
    frame: Frame, label: int, number: int, family: Family, link: MeasuredLink, tallies: dict[Mode, _Tally]
) -> None:
    start = time.perf_counter()
    latent = family.encoders.latent(frame, number)
    encoders_s = time.perf_counter() - start
    for mode, tally in tallies.items():
        if mode.encoders != number:
            continue
        start = time.perf_counter()
        data = family.codec.encode(latent, mode.encoders, mode.levels)
        tally.encode_s.append(encoders_s + time.perf_counter() - start)
        before = link.wire_bytes()
        reply = link.call(Request("slimmable", frame.id, (Payload("latent", data),), family.spec.decoder))
        tally.wire_bytes.append(link.wire_bytes() - before)
        tally.payload_bytes.append(len(data))
        tally.right += int(reply.probabilities[0].argmax()) == label


@dataclass
class _Tally:
    """A mode's photos so far."""

    right: int = 0
    encode_s: list[float] = field(default_factory=list)
    payload_bytes: list[int] = field(default_factory=list)
    wire_bytes: list[int] = field(default_factory=list)

    def outcome(self, mode: Mode, packed_bytes: int) -> ModeOutcome:
        count = len(self.payload_bytes)
        return ModeOutcome(
            members=mode.encoders,
            bits=BITS[mode.levels],
            accuracy=self.right / count,
            accuracy_interval=wilson(self.right, count),
            payload_bytes=fmean(self.payload_bytes),
            packed_bytes=packed_bytes,
            wire_bytes=fmean(self.wire_bytes),
            encode_ms=median(self.encode_s) * 1e3,
        )


def _rival(
    curve: str, setting: str, system: System, photos: Sequence[Photo], frame: FrameSpec, link: MeasuredLink
) -> Rival:
    found = ask_all(system, photos, frame, link, shown=f"{curve} {setting}")
    return Rival(
        curve=curve,
        setting=setting,
        accuracy=found.accuracy,
        accuracy_interval=wilson(found.right, found.photos),
        payload_bytes=found.payload_bytes,
        wire_bytes=found.wire_bytes / found.photos,
    )
