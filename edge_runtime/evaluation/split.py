"""``edge-runtime evaluate --system split``: cuts of a network end to end, beside whole photos and uncompressed maps."""

from __future__ import annotations

import csv
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from edge_runtime.codecs.features import FeatureCodec, HalfEncoder
from edge_runtime.errors import LinkLost
from edge_runtime.evaluation.evaluate import RIVAL_QUALITIES
from edge_runtime.evaluation.latency import Latencies, by_side, percentiles
from edge_runtime.evaluation.points import wilson
from edge_runtime.messages import Frame
from edge_runtime.models.execution import DEFAULT_EXECUTION, Execution
from edge_runtime.photos import open_frame
from edge_runtime.systems.driver import drive
from edge_runtime.systems.edge import PrefixModel
from edge_runtime.systems.remote import Remote
from edge_runtime.systems.split import Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Answer
    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import FrameSpec, SplitSpec
    from edge_runtime.systems import System
    from edge_runtime.systems.split import LinkState


@dataclass(frozen=True)
class Cut:
    """One cut, loaded: the device's half and the codec."""

    spec: SplitSpec
    prefix: PrefixModel
    codec: FeatureCodec

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        spec: SplitSpec,
        execution: Execution = DEFAULT_EXECUTION,
    ) -> Cut:
        """Load the prefix and the codec's tables; raises BundleError or ModelError."""
        prefix = PrefixModel(bundle, spec.prefix, execution)
        return cls(spec, prefix, FeatureCodec.load(bundle.read(spec.tables)))


@dataclass(frozen=True)
class SplitSetup:
    """What an evaluation of cuts runs on."""

    photos: Sequence[Photo]
    cuts: Sequence[Cut]
    link: MeasuredLink
    deadline_s: float = float("inf")

    @property
    def frame(self) -> FrameSpec:
        """The bundle's geometry."""
        return self.cuts[0].prefix.frame


@dataclass(frozen=True)
class Way:
    """One way of answering every photo. ``codec`` is ff, float16 or an image codec; ``cut`` empty for whole photos."""

    network: str
    cut: str
    codec: str
    setting: str
    system: System

    @property
    def name(self) -> str:
        """For example ``lite0.add_3 ff q60`` or ``lite0 jpeg q75``."""
        where = f"{self.network}.{self.cut}" if self.cut else self.network
        return " ".join(filter(None, (where, self.codec, self.setting)))


@dataclass(frozen=True)
class Outcome:
    """What came of one way; bytes are means per photo, ``latency_ms`` is over the photos that were answered.

    An unanswered photo counts as wrong. ``loss`` is against the whole network on whole photos losslessly sent.
    """

    name: str
    network: str
    cut: str
    codec: str
    photos: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    loss: float
    unanswered: int
    payload_bytes: float
    wire_bytes: float
    latency_ms: Latencies


@dataclass(frozen=True)
class Size:
    """What rules the size of a map, one of the three that `Split` takes."""

    quality: int | None = None
    budget: int | None = None
    link: LinkState | None = None

    @property
    def name(self) -> str:
        """For example ``q60``."""
        if self.quality is not None:
            return f"q{self.quality}"
        return "in time" if self.budget is None else f"{self.budget} bytes"


def evaluate(setup: SplitSetup, sizes: Sequence[Size]) -> list[Outcome]:
    """Lossless whole photos, which no deadline holds back, each cut at each of ``sizes``, then the rivals."""
    patient = replace(setup, deadline_s=float("inf"))
    lossless = [_measure(patient, way, None) for way in _lossless(setup)]
    accuracies = {outcome.network: outcome.accuracy for outcome in lossless}
    ways = (*_cuts(setup, sizes), *_rivals(setup))
    return lossless + [_measure(setup, way, accuracies[way.network]) for way in ways]


def write_csv(outcomes: Sequence[Outcome], path: Path) -> None:
    """One line per outcome, the latencies in columns of their own."""
    rows = [_flat(outcome) for outcome in outcomes]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        writer.writerows(rows)


def _flat(outcome: Outcome) -> dict[str, Any]:
    row = asdict(outcome)
    row["low"], row["high"] = row.pop("accuracy_interval")
    for stage, taken in row.pop("latency_ms").items():
        row |= {f"{stage}_{percentile}_ms": value for percentile, value in taken.items()}
    return row


def _networks(setup: SplitSetup) -> list[str]:
    return list(dict.fromkeys(cut.spec.network for cut in setup.cuts))


def _lossless(setup: SplitSetup) -> Iterator[Way]:
    for network in _networks(setup):
        yield Way(network, "", "png", "", Remote("png", 100, network))


def _cuts(setup: SplitSetup, sizes: Sequence[Size]) -> Iterator[Way]:
    for cut in setup.cuts:
        for size in sizes:
            system = Split(
                cut.prefix, cut.codec, cut.spec.suffix, quality=size.quality, budget=size.budget, link=size.link
            )
            yield Way(cut.spec.network, cut.spec.cut, "ff", size.name, system)


def _rivals(setup: SplitSetup) -> Iterator[Way]:
    for cut in setup.cuts:
        half = Split(cut.prefix, HalfEncoder(cut.codec.shape), cut.spec.suffix, quality=100)
        yield Way(cut.spec.network, cut.spec.cut, "float16", "", half)
    for network in _networks(setup):
        for codec, qualities in RIVAL_QUALITIES.items():
            for quality in qualities:
                yield Way(network, "", codec, f"q{quality}", Remote(codec, quality, network))


def _measure(setup: SplitSetup, way: Way, lossless: float | None) -> Outcome:
    _warm_up(setup, way)
    before = setup.link.wire_bytes()
    tried = tqdm(
        enumerate(setup.photos), total=len(setup.photos), desc=way.name, unit="photo", leave=False, disable=None
    )
    answered = [(photo, *found) for index, photo in tried if (found := _answer(setup, way, index, photo))]
    count = len(setup.photos)
    right = sum(answer.label == photo.label for photo, answer, _ in answered)
    return Outcome(
        name=way.name,
        network=way.network,
        cut=way.cut,
        codec=way.codec,
        photos=count,
        accuracy=right / count,
        accuracy_interval=wilson(right, count),
        loss=0.0 if lossless is None else lossless - right / count,
        unanswered=count - len(answered),
        payload_bytes=sum(answer.payload_bytes for _, answer, _ in answered) / max(len(answered), 1),
        wire_bytes=(setup.link.wire_bytes() - before) / count,
        latency_ms=percentiles(
            [{"total": taken_ms, **by_side(answer.timings_ms), **answer.timings_ms} for _, answer, taken_ms in answered]
        ),
    )


def _warm_up(setup: SplitSetup, way: Way) -> None:
    """Answer one photo unmeasured: nobody's first run is what later ones are like. Raises ``LinkError``."""
    setup.link.client.describe()  # closes a breaker that the last way's lost calls may have left open
    drive(way.system.infer(Frame(0, open_frame(setup.photos[0].data, setup.frame))), setup.link.call)


def _answer(setup: SplitSetup, way: Way, index: int, photo: Photo) -> tuple[Answer, float] | None:
    """The answer and the milliseconds that it took; None when there was none in time."""
    pixels = open_frame(photo.data, setup.frame)
    start = time.monotonic()
    frame = Frame(index, pixels, start + setup.deadline_s)
    try:
        answer = drive(way.system.infer(frame), setup.link.call, frame.deadline_s)
    except LinkLost:
        return None
    return answer, (time.monotonic() - start) * 1e3
