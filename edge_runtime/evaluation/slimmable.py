"""``edge-runtime evaluate --system slimmable``: photos one after the other, or one in each period of a link's trace."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.control.modes import BITS
from edge_runtime.errors import LinkLost
from edge_runtime.evaluation.latency import latencies
from edge_runtime.evaluation.link import following
from edge_runtime.evaluation.points import wilson
from edge_runtime.messages import Frame
from edge_runtime.photos import open_frame
from edge_runtime.systems.driver import drive

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.evaluation.trace_syntax import LinkTrace
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Answer
    from edge_runtime.systems.slimmable import Slimmable

# Decoded photos are kept, and shown again when they have all been: decoding is not what a trace is about.
MOST_PHOTOS = 512


class Asked(NamedTuple):
    """What became of one photo, ``at_s`` seconds after the first came; ``answer`` is None where none came in time."""

    at_s: float
    latency_s: float
    answer: Answer | None
    is_right: bool


@dataclass(frozen=True)
class Run:
    """Photos in the order in which they were asked about, and the bytes that crossed the link both ways."""

    asked: list[Asked]
    wire_bytes: int

    def report(self, codec: LatentCodec) -> dict[str, Any]:
        """The keys are described in ``docs/evaluating.md``; a photo without an answer is wrong."""
        count = len(self.asked)
        answered = [one for one in self.asked if one.answer]
        answers = [one.answer for one in answered if one.answer]
        right = sum(one.is_right for one in answered)
        modes = [answer.mode for answer in answers if answer.mode]
        return {
            "photos": count,
            "accuracy": right / count,
            "accuracy_interval": wilson(right, count),
            "slo_hit": len(answered) / count,
            "unanswered": count - len(answered),
            "modes": [
                {"members": mode.encoders, "bits": BITS[mode.levels], "share": times / count}
                for mode, times in Counter(modes).most_common()
            ],
            "payload_bytes": sum(answer.payload_bytes for answer in answers) / max(len(answers), 1),
            "packed_bytes": sum(codec.packed_bytes(mode.levels) for mode in modes) / max(len(modes), 1),
            "wire_bytes": self.wire_bytes / count,
            "latency_ms": latencies(answers, [one.latency_s * 1e3 for one in answered]),
        }


def ask_in_a_row(system: Slimmable, photos: Sequence[Photo], link: MeasuredLink, deadline_s: float) -> Run:
    """Ask about each photo as soon as the one before is done with.

    The first is asked about once more before, unmeasured and without a deadline. Raises ``LinkError`` when that one is
    lost, ``ServerRefused`` for any.
    """
    asking = _Asking(system, link, deadline_s)
    asking.warm_up(photos[0])
    before, start_s = link.wire_bytes(), time.monotonic()
    asked = []
    for photo in tqdm(photos, desc=system.model, unit="photo", mininterval=1, leave=False, disable=None):
        pixels = open_frame(photo.data, asking.frame)
        now = time.monotonic()
        asked.append(asking.ask(pixels, photo.label, now, now - start_s))
    return Run(asked, link.wire_bytes() - before)


def ask_over_trace(
    system: Slimmable,
    photos: Sequence[Photo],
    link: MeasuredLink,
    trace: LinkTrace,
    deadline_s: float,
    seconds: float,
) -> Run:
    """Ask about a photo whenever the time for the one before is over, for so many seconds of a trace.

    Warms up and raises as `ask_in_a_row` does, on the link as it is at first.
    """
    shown = [(open_frame(photo.data, system.encoders.frame), photo.label) for photo in photos[:MOST_PHOTOS]]
    link.reshape(trace.shape(trace.bandwidth.at(0.0)))
    asking = _Asking(system, link, deadline_s)
    asking.warm_up(photos[0])
    before, asked = link.wire_bytes(), []
    with following(trace, link) as start_s:
        for number in tqdm(range(max(int(seconds / deadline_s), 1)), unit="photo", leave=False, disable=None):
            comes_s = start_s + number * deadline_s
            time.sleep(max(comes_s - time.monotonic(), 0.0))
            pixels, label = shown[number % len(shown)]
            asked.append(asking.ask(pixels, label, comes_s, comes_s - start_s))
    return Run(asked, link.wire_bytes() - before)


class _Asking:
    """Asks about frames, which it numbers, each within ``deadline_s`` seconds of its coming."""

    def __init__(self, system: Slimmable, link: MeasuredLink, deadline_s: float) -> None:
        self.frame = system.encoders.frame
        self._system, self._link, self._deadline_s = system, link, deadline_s
        self._number = 0

    def warm_up(self, photo: Photo) -> None:
        """One answer that does not count: nobody's first request is what later ones are like."""
        frame = Frame(0, open_frame(photo.data, self.frame))
        drive(self._system.infer(frame), self._link.call)

    def ask(self, pixels: NDArray[np.uint8], label: int, comes_s: float, at_s: float) -> Asked:
        """What becomes of a frame that came at ``comes_s``, on the clock of ``time.monotonic``."""
        frame = Frame(self._number, pixels, comes_s + self._deadline_s)
        self._number += 1
        answer: Answer | None = None
        with contextlib.suppress(LinkLost):
            answer = drive(self._system.infer(frame), self._link.call, frame.deadline_s)
        latency_s = time.monotonic() - comes_s
        if answer is None or latency_s > self._deadline_s:
            return Asked(at_s, latency_s, None, is_right=False)
        return Asked(at_s, latency_s, answer, answer.label == label)
