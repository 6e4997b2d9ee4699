"""``edge-runtime evaluate --system amot``: two rounds end to end, and the pass over photos that its rivals share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from edge_runtime.errors import LinkLost, Unmeetable
from edge_runtime.evaluation.latency import latencies
from edge_runtime.evaluation.points import wilson
from edge_runtime.messages import Frame
from edge_runtime.photos import open_frame
from edge_runtime.systems.driver import drive
from edge_runtime.systems.remote import Remote
from edge_runtime.transport.shaper import LinkShape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Answer, Reply, Request
    from edge_runtime.models.bundle import FrameSpec
    from edge_runtime.systems import System
    from edge_runtime.systems.amot import Amot


@dataclass(frozen=True)
class Pass:
    """Every photo asked about once. ``answers`` and the milliseconds ``taken_ms`` are of those that were answered.

    ``right`` counts right answers, ``rejected`` photos that no plan could answer in time, so that nothing was sent, and
    ``unanswered`` those that were sent in vain. In ``wire_bytes``, both directions, payloads count as the answers have
    them: a system may stand for another one that would send something else.
    """

    photos: int
    answers: list[Answer]
    taken_ms: list[float]
    right: int
    rejected: int
    unanswered: int
    wire_bytes: int

    @property
    def accuracy(self) -> float:
        """Share of all photos answered rightly."""
        return self.right / self.photos

    @property
    def payload_bytes(self) -> float:
        """Mean per photo."""
        return sum(answer.payload_bytes for answer in self.answers) / self.photos

    @property
    def second_round_share(self) -> float:
        """Share of all photos with an answered second round."""
        return sum(answer.rounds == 2 for answer in self.answers) / self.photos

    def patches_share(self, patches: int) -> float:
        """Mean share of a frame's ``patches`` that was sent, of the photos that were answered."""
        return sum(answer.patches_sent for answer in self.answers) / patches / max(len(self.answers), 1)


def ask_all(
    system: System,
    photos: Sequence[Photo],
    frame: FrameSpec,
    link: MeasuredLink,
    deadline_s: float = float("inf"),
    shown: str = "",
) -> Pass:
    """Ask about one photo after the other, each within ``deadline_s`` seconds; ``shown`` names the progress bar.

    The first photo is asked about once more before, unmeasured and without a deadline: nobody's first request is what
    later ones are like. Raises ``LinkError`` when that one is lost, ``ServerRefused`` for any.
    """
    asking = _Asking(link)
    asking.ask(system, Frame(0, open_frame(photos[0].data, frame)))
    asking.extra_bytes = 0
    before = link.wire_bytes()
    answers, taken_ms, right, rejected = [], [], 0, 0
    shows = None if shown else True
    for index, photo in enumerate(tqdm(photos, shown, unit="photo", mininterval=1, leave=False, disable=shows)):
        pixels = open_frame(photo.data, frame)
        start = time.monotonic()
        try:
            answers.append(asking.ask(system, Frame(index, pixels, start + deadline_s)))
        except Unmeetable:
            rejected += 1
        except LinkLost:
            continue
        else:
            taken_ms.append((time.monotonic() - start) * 1e3)
            right += answers[-1].label == photo.label
    return Pass(
        photos=len(photos),
        answers=answers,
        taken_ms=taken_ms,
        right=right,
        rejected=rejected,
        unanswered=len(photos) - len(answers) - rejected,
        wire_bytes=link.wire_bytes() - before - asking.extra_bytes,
    )


def evaluate(system: Amot, photos: Sequence[Photo], link: MeasuredLink, deadline_s: float) -> dict[str, Any]:
    """Measure the system, then its server on whole photos; the keys are described in ``docs/evaluating.md``.

    The whole photos cross the link unshaped: it stays so.
    """
    found = ask_all(system, photos, system.frame, link, deadline_s, shown="two rounds")
    link.reshape(LinkShape())
    link.client.describe()  # closes a breaker that the last lost call may have left open
    whole = ask_all(Remote("png", 100, system.model), photos, system.frame, link, shown="whole photos")
    return {
        "photos": found.photos,
        "accuracy": found.accuracy,
        "accuracy_interval": wilson(found.right, found.photos),
        "server_accuracy": whole.accuracy,
        "patches_share": found.patches_share(system.frame.grid**2),
        "second_round_share": found.second_round_share,
        "best_effort_share": sum(answer.decided_by == "best-effort" for answer in found.answers) / found.photos,
        "slo_hit": sum(taken_ms <= deadline_s * 1e3 for taken_ms in found.taken_ms) / found.photos,
        "rejected": found.rejected,
        "unanswered": found.unanswered,
        "payload_bytes": found.payload_bytes,
        "wire_bytes": found.wire_bytes / found.photos,
        "latency_ms": latencies(found.answers, found.taken_ms),
    }


class _Asking:
    """Drives systems over a link; ``extra_bytes`` are those of payloads that were sent but do not count."""

    def __init__(self, link: MeasuredLink) -> None:
        self.extra_bytes = 0
        self._link = link
        self._sent = 0

    def ask(self, system: System, frame: Frame) -> Answer:
        self._sent = 0
        answer = drive(system.infer(frame), self._call, frame.deadline_s)
        self.extra_bytes += self._sent - answer.payload_bytes
        return answer

    def _call(self, request: Request, timeout_s: float) -> Reply:
        self._sent += sum(len(payload.data) for payload in request.payloads)
        return self._link.call(request, timeout_s)
