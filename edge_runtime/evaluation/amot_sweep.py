"""``edge-runtime evaluate --system amot --sweep``: every way measured, each point kept, and what is cheapest."""

from __future__ import annotations

import csv
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from edge_runtime.evaluation.amot import ask_all
from edge_runtime.evaluation.amot_plane import LOSSLESS, TWO_ROUNDS
from edge_runtime.evaluation.points import wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from edge_runtime.evaluation.amot import Pass
    from edge_runtime.evaluation.amot_plane import Way
    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import FrameSpec

    # As `Way.asks` counts them.
    Links = Sequence[MeasuredLink]


@dataclass(frozen=True)
class Outcome:
    """What came of one way; means per photo, ``low`` and ``high`` bound the accuracy with 95 % confidence (Wilson).

    ``patches_share`` is 0 for whole photos.
    """

    curve: str
    setting: str
    photos: int
    accuracy: float
    low: float
    high: float
    payload_bytes: float
    wire_bytes: float
    patches_share: float
    second_round_share: float

    @classmethod
    def of(cls, way: Way, found: Pass, patches: int) -> Outcome:
        """Sum up a pass over frames of so many patches."""
        low, high = wilson(found.right, found.photos)
        return cls(
            curve=way.curve,
            setting=way.setting,
            photos=found.photos,
            accuracy=found.accuracy,
            low=low,
            high=high,
            payload_bytes=found.payload_bytes,
            wire_bytes=found.wire_bytes / found.photos,
            patches_share=found.patches_share(patches),
            second_round_share=found.second_round_share,
        )


class Points:
    """Outcomes in a file, one a line, so that a sweep that was broken off goes on where it was.

    A line counts for the same way, photos and bundles only.
    """

    def __init__(self, path: Path, photos: Sequence[Photo], bundles: Iterable[Bundle]) -> None:
        digest = hashlib.sha256()
        for text in (*(bundle.hash for bundle in bundles), *(photo.name for photo in photos)):
            digest.update(text.encode() + b"\n")
        for photo in photos:
            digest.update(hashlib.sha256(photo.data).digest())
        self._path, self._source = path, digest.hexdigest()
        self._known: dict[tuple[str, str], Outcome] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            stored = json.loads(line)
            if stored["source"] == self._source:
                outcome = Outcome(**stored["outcome"])
                self._known[outcome.curve, outcome.setting] = outcome

    def get(self, way: Way) -> Outcome | None:
        """The outcome of that way, if it is known."""
        return self._known.get((way.curve, way.setting))

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        self._known[outcome.curve, outcome.setting] = outcome
        with self._path.open("a") as file:
            file.write(json.dumps({"source": self._source, "outcome": asdict(outcome)}) + "\n")


@dataclass(frozen=True)
class Sweep:
    """Every outcome; ``chosen`` is the two rounds with the fewest wire bytes within a loss against the server.

    ``cheapest`` has, for each other curve, the fewest wire bytes that reach the accuracy of ``chosen``, None where
    nothing does. ``server_accuracy`` is that of whole photos, losslessly sent.
    """

    outcomes: list[Outcome]
    server_accuracy: float
    chosen: Outcome | None
    cheapest: dict[str, Outcome | None]

    @classmethod
    def of(cls, outcomes: list[Outcome], within: float) -> Sweep:
        """Choose among outcomes, of which one is lossless."""
        curves: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            curves.setdefault(outcome.curve, []).append(outcome)
        (lossless,) = curves.pop(LOSSLESS)
        chosen = _cheapest(curves.pop(TWO_ROUNDS), lossless.accuracy - within)
        cheapest = {curve: _cheapest(points, chosen.accuracy) for curve, points in curves.items()} if chosen else {}
        return cls(outcomes, lossless.accuracy, chosen, cheapest)

    def as_json(self) -> dict[str, Any]:
        """The sweep as plain values."""
        return {"photos": self.outcomes[0].photos, **asdict(self)}


def measure(
    ways: Sequence[Way],
    photos: Sequence[Photo],
    frame: FrameSpec,
    points: Points,
    open_links: Callable[[], AbstractContextManager[Links]],
    workers: int = 1,
) -> list[Outcome]:
    """The outcomes of all ways in their order; what ``points`` has not is measured by so many workers at once.

    Each worker has links of its own. Raises ``LinkError``; what was measured until then stays in ``points``.
    """
    missing = [way for way in ways if points.get(way) is None]
    workers = max(min(workers, len(missing)), 1)
    with ThreadPoolExecutor(workers) as pool, ExitStack() as opened:
        free: SimpleQueue[Links] = SimpleQueue()
        for _ in range(workers if missing else 0):
            free.put(opened.enter_context(open_links()))
        tasks = [pool.submit(_measure, way, photos, frame, free) for way in missing]
        known = len(ways) - len(missing)
        try:
            for task in tqdm(
                as_completed(tasks), desc="sweep", unit="point", total=len(ways), initial=known, disable=None
            ):
                points.add(task.result())
        except BaseException:
            # Those under way end as soon as their links are closed.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [outcome for way in ways if (outcome := points.get(way))]


def write_csv(outcomes: Sequence[Outcome], path: Path) -> None:
    """One line per outcome."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(outcomes[0])))
        writer.writeheader()
        writer.writerows(asdict(outcome) for outcome in outcomes)


def _measure(way: Way, photos: Sequence[Photo], frame: FrameSpec, free: SimpleQueue[Links]) -> Outcome:
    links = free.get()
    try:
        found = ask_all(way.system, photos, frame, links[way.asks])
    finally:
        free.put(links)
    return Outcome.of(way, found, frame.grid**2)


def _cheapest(outcomes: Iterable[Outcome], accuracy: float) -> Outcome | None:
    """The fewest wire bytes of those that are as accurate."""
    good = [outcome for outcome in outcomes if outcome.accuracy >= accuracy]
    return min(good, key=lambda outcome: outcome.wire_bytes, default=None)
