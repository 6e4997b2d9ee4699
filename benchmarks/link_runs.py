"""Runs: a policy asks about photos, one after the other, over a link that follows a trace, and a real server answers.

A photo comes when the time for the one before is over, so every policy gets the same photos at the same moments of the
trace. One server answers all runs; links, controllers and what they have learnt are new each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tqdm import tqdm

from edge_runtime.errors import LinkLost, Unmeetable
from edge_runtime.evaluation.link import following, open_link
from edge_runtime.messages import Frame, Reply, Request
from edge_runtime.photos import open_frame
from edge_runtime.systems.driver import drive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from link_traces import Cell

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.evaluation.trace_syntax import LinkTrace
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Answer
    from edge_runtime.models import Bundle
    from edge_runtime.systems import Inference

Call = Callable[[Request, float], Reply]
Fate = Literal["answered", "best effort", "lost", "unasked", "rejected"]
# Of what kind each request was, as its race tells them apart, and by how many seconds it was late.
Late = Sequence[tuple[Any, float]]

# Photos before the trace begins, with so much time each: connection, models and estimates are warm then.
WARM_UP, WARM_UP_S = 3, 2.0


class Shown:
    """Photos of which each run is shown as many as it wants, again from the first when all have been."""

    def __init__(self, bundle: Bundle, photos: Sequence[Photo]) -> None:
        self._pixels = [open_frame(photo.data, bundle.frame) for photo in photos]
        self._labels = [photo.label for photo in photos]

    def frame(self, number: int, deadline_s: float) -> Frame:
        """The photo of that number, to be answered by then."""
        return Frame(number, self._pixels[number % len(self._pixels)], deadline_s)

    def is_right(self, number: int, answer: Answer) -> bool:
        """Whether the photo has that label."""
        return answer.label == self._labels[number % len(self._labels)]


class Policy(NamedTuple):
    """How to ask about a frame: a system's generator, and what carries its requests.

    ``planned`` gives what was meant to be done about the frame last asked about, None for nothing; ``late`` gives by
    how much requests since a moment of ``time.monotonic`` were late. A policy that nobody watches has neither.
    """

    infer: Callable[[Frame], Inference]
    call: Call
    planned: Callable[[], Any] = lambda: None
    late: Callable[[float], Late] = lambda _: ()


class Asked(NamedTuple):
    """What became of one photo.

    ``lost`` was waited for in vain, ``unasked`` was not sent because the photo before was lost, ``rejected`` cannot be
    answered in time as its policy has it. ``plan`` is what that meant to do; ``payload_bytes`` are those of answered
    photos.
    """

    fate: Fate
    latency_s: float
    is_right: bool = False
    rounds: int = 0
    payload_bytes: int = 0
    plan: Any = None


@dataclass(frozen=True)
class Run:
    """A policy's photos in a cell, the bytes that crossed the link both ways, and how late watched requests were."""

    asked: list[Asked]
    wire_bytes: int
    late: Late


def race(
    raced: Sequence[Cell], names: Sequence[str], run: Callable[[str, Cell], Run]
) -> Iterator[tuple[Cell, dict[str, Run]]]:
    """Every policy's run in one cell after the other, in an order that turns from cell to cell."""
    with tqdm(total=len(raced) * len(names), unit="run") as progress:
        for turn, cell in enumerate(raced):
            runs = {}
            for place in range(len(names)):
                name = names[(turn + place) % len(names)]
                progress.set_description(f"{cell.name}, {1e3 * cell.deadline_s:g} ms, {name}")
                runs[name] = run(name, cell)
                progress.update()
            yield cell, runs


@contextmanager
def connected(bundle: Bundle, address: str, trace: LinkTrace) -> Iterator[MeasuredLink]:
    """A connection to a server that was heard of, over the link as its trace begins.

    Whatever the bundle has, what is raced has no answer of its own, and does not stop asking for one lost photo.
    """
    with open_link(bundle, address, trace.shape(trace.bandwidth.at(0.0)), patient=True) as link:
        link.client.describe()
        yield link


def ask_all(policy: Policy, shown: Shown, cell: Cell, link: MeasuredLink) -> Run:
    """Warm the policy up, then ask it about a cell's photos while the link follows its trace."""
    for _ in range(WARM_UP):
        ask(policy, shown, 0, time.monotonic() + WARM_UP_S, link)
    before = link.wire_bytes()
    with following(cell.link, link) as started_s:
        asked = []
        for number in range(cell.photos):
            comes_s = started_s + number * cell.deadline_s
            time.sleep(max(comes_s - time.monotonic(), 0.0))
            asked.append(ask(policy, shown, number, comes_s + cell.deadline_s, link))
    return Run(asked, link.wire_bytes() - before, policy.late(started_s))


def ask(policy: Policy, shown: Shown, number: int, deadline_s: float, link: MeasuredLink) -> Asked:
    """Ask about one photo, which is to be answered by then."""
    started_s = time.monotonic()
    was_lost = link.client.breaker.state != "closed"
    answer: Answer | None = None
    try:
        answer = drive(policy.infer(shown.frame(number, deadline_s)), policy.call, deadline_s)
        fate: Fate = "best effort" if answer.decided_by == "best-effort" else "answered"
    except Unmeetable:
        fate = "rejected"
    except LinkLost:
        fate = "unasked" if was_lost else "lost"
    latency_s = time.monotonic() - started_s
    if answer is None:
        return Asked(fate, latency_s, plan=policy.planned())
    return Asked(fate, latency_s, shown.is_right(number, answer), answer.rounds, answer.payload_bytes, policy.planned())
