"""Runs: a policy asks about photos, one after the other, over a link that follows a trace, and a real server answers.

A photo comes when the time for the one before is over, so every policy gets the same photos at the same moments of the
trace. One server answers all runs; links, planners and what they have learnt are new each time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from amot_oracle import Oracle, Watch, heavy, lateness, weights

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.control.round_plans import RoundPlans
from edge_runtime.control.slo import Slo
from edge_runtime.errors import LinkLost, SessionForgotten, Unmeetable
from edge_runtime.evaluation.link import following, open_link
from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.messages import Frame, Reply, Request
from edge_runtime.photos import open_frame
from edge_runtime.scheduling.traces import Trace
from edge_runtime.systems.amot import Amot, Fixed
from edge_runtime.systems.driver import RETURN_MARGIN_S, drive
from edge_runtime.systems.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from amot_oracle import Late
    from numpy.typing import NDArray

    from edge_runtime.codecs.image import ImageCodec
    from edge_runtime.control.rounds import RoundTables
    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Answer
    from edge_runtime.models import Bundle
    from edge_runtime.systems import Inference
    from edge_runtime.systems.amot import Plan, Planner

Call = Callable[[Request, float], Reply]
Fate = Literal["answered", "best effort", "lost", "unasked", "rejected"]

MBIT = 1e6 / 8
ROUND_TRIP_S = 0.02
# Photos before the trace begins, with so much time each: connection, models and estimates are warm then.
WARM_UP, WARM_UP_S = 3, 2.0
# What is believed of a link before anything has crossed it.
FIRST_BANDWIDTH = MBIT
# What every round is measured on before the race, so many photos for each number of patches.
MEASURED_ON, MEASURED_PHOTOS = LinkTrace(Trace.constant(20 * MBIT), ROUND_TRIP_S), 12
# The oracle that asks for real allows for all but one in so many of the rounds that it was shown.
CAREFUL = 0.9
# How the fixed plans pack patches, and when they let the server ask.
FIXED_QUALITY, FIXED_BELOW = 35, 0.9


@dataclass(frozen=True)
class Cell:
    """A link over time, and so many photos, each to be answered within ``deadline_s``."""

    name: str
    link: LinkTrace
    deadline_s: float
    photos: int

    @property
    def left_s(self) -> float:
        """What a system has of the deadline: the rest is kept back by whoever drives it, the oracle included."""
        return self.deadline_s - RETURN_MARGIN_S


class Subject:
    """What is raced: a bundle, the tables of its two rounds, its server, and photos, shown again when all have been."""

    def __init__(self, bundle: Bundle, tables: RoundTables, photos: Sequence[Photo], address: str) -> None:
        self.bundle, self.tables, self.address = bundle, tables, address
        self.plans = RoundPlans(tables, None, 0.0)
        assert bundle.manifest.rounds is not None
        self.rounds = bundle.manifest.rounds
        self._pixels = [open_frame(photo.data, bundle.frame) for photo in photos]
        self._labels = [photo.label for photo in photos]
        self.weights = cache(self._weights)

    def frame(self, number: int, deadline_s: float) -> Frame:
        """The photo of that number, to be answered by then."""
        return Frame(number, self._pixels[number % len(self._pixels)], deadline_s)

    def is_right(self, number: int, answer: Answer) -> bool:
        """Whether the photo has that label."""
        return answer.label == self._labels[number % len(self._labels)]

    def amot(self, planner: Planner) -> Amot:
        """The system of two rounds, with any planner."""
        return Amot(self.bundle.frame, self.rounds.pattern, planner, self.rounds.classifier)

    def patches(self, share: float) -> int:
        """A share of a frame's patches."""
        return round(share * self.bundle.frame.grid**2)

    def _weights(self, number: int) -> NDArray[np.float64]:
        return weights(self.frame(number, 0.0), self.bundle.frame, self.rounds.pattern, self.tables)


class Policy(NamedTuple):
    """How to ask about a frame: a system's generator, what carries its requests, and who watches its planner."""

    infer: Callable[[Frame], Inference]
    call: Call
    watch: Watch | None = None


class Asked(NamedTuple):
    """What became of one photo.

    ``lost`` was waited for in vain, ``unasked`` was not sent because the photo before was lost, ``rejected`` has no
    plan that would meet the deadline. ``plan`` is that of a planner; ``payload_bytes`` are those of answered photos.
    """

    fate: Fate
    latency_s: float
    is_right: bool = False
    rounds: int = 0
    payload_bytes: int = 0
    plan: Plan | None = None


@dataclass(frozen=True)
class Run:
    """A policy's photos in a cell, the bytes that crossed the link both ways, and how late watched rounds were."""

    asked: list[Asked]
    wire_bytes: int
    late: Late


def run(name: str, subject: Subject, cell: Cell, late_s: tuple[float, float]) -> Run:
    """The policy of that name in a cell; the oracle expects rounds to be so late."""
    with open_link(subject.bundle, subject.address, cell.link.shape(cell.link.bandwidth.at(0.0))) as link:
        link.client.describe()
        policy = POLICIES[name](Setup(subject, cell, link, late_s))
        for _ in range(WARM_UP):
            _ask(policy, subject, 0, time.monotonic() + WARM_UP_S, link)
        before = link.wire_bytes()
        with following(cell.link, link) as started_s:
            asked = []
            for number in range(cell.photos):
                comes_s = started_s + number * cell.deadline_s
                time.sleep(max(comes_s - time.monotonic(), 0.0))
                asked.append(_ask(policy, subject, number, comes_s + cell.deadline_s, link))
        rounds = [one for one in policy.watch.rounds if one.since_s >= started_s] if policy.watch else []
        return Run(asked, link.wire_bytes() - before, lateness(rounds, subject.plans, cell.link, started_s))


def measure(subject: Subject) -> Late:
    """How late rounds are on a fast link, for every number of first patches."""
    late: list[tuple[bool, float]] = []
    total, setting = subject.bundle.frame.grid**2, subject.tables.settings[0]
    with open_link(subject.bundle, subject.address, MEASURED_ON.shape(MEASURED_ON.bandwidth.at(0.0))) as link:
        link.client.describe()
        for first, photo in itertools.product(subject.tables.first, range(MEASURED_PHOTOS)):
            second = max(count for count in subject.tables.second if first + count <= total)
            watch = Watch(Fixed(setting.codec, setting.quality, first, second, FIXED_BELOW))
            policy = Policy(subject.amot(watch).infer, link.call, watch)
            _ask(policy, subject, photo, time.monotonic() + WARM_UP_S, link)
            late += lateness(watch.rounds, subject.plans, MEASURED_ON, 0.0)
    return late


def choices(subject: Subject, cell: Cell, late_s: tuple[float, float], *, weighs: bool = True) -> list[int | None]:
    """The place of the oracle's plan for every photo of a cell, None for those that no plan could answer in time.

    One that does not weigh photos knows the link alone, and takes them all for heavy.
    """
    oracle, unweighed = Oracle(subject.plans, cell.link, late_s), heavy(subject.tables)
    return [
        oracle.best(number * cell.deadline_s, cell.left_s, subject.weights(number) if weighs else unweighed)
        for number in range(cell.photos)
    ]


def _ask(policy: Policy, subject: Subject, number: int, deadline_s: float, link: MeasuredLink) -> Asked:
    started_s = time.monotonic()
    was_lost = link.client.breaker.state != "closed"
    answer: Answer | None = None
    try:
        answer = drive(policy.infer(subject.frame(number, deadline_s)), policy.call, deadline_s)
        fate: Fate = "best effort" if answer.decided_by == "best-effort" else "answered"
    except Unmeetable:
        fate = "rejected"
    except LinkLost:
        fate = "unasked" if was_lost else "lost"
    latency_s = time.monotonic() - started_s
    plan = policy.watch.plans[-1] if policy.watch else None
    if answer is None:
        return Asked(fate, latency_s, plan=plan)
    return Asked(fate, latency_s, subject.is_right(number, answer), answer.rounds, answer.payload_bytes, plan)


class Setup(NamedTuple):
    """What a policy may know before it starts; of the cell and of ``late_s``, how late rounds are, only the oracle."""

    subject: Subject
    cell: Cell
    link: MeasuredLink
    late_s: tuple[float, float]


def _planned(setup: Setup) -> Policy:
    """The planner, which learns the link as it goes."""
    subject, client = setup.subject, setup.link.client
    client.ping(WARM_UP_S)  # the first one opens the connection
    estimate = LinkEstimate(FIRST_BANDWIDTH, client.ping(WARM_UP_S), time.monotonic())
    watch = Watch(Slo(subject.tables, estimate))
    return Policy(subject.amot(watch).infer, setup.link.call, watch)


def _foreseen(setup: Setup) -> Policy:
    """The oracle, asking for real."""
    subject = setup.subject
    oracle = Oracle(subject.plans, setup.cell.link, setup.late_s)
    chosen = choices(subject, setup.cell, setup.late_s)

    def infer(frame: Frame) -> Inference:
        place = chosen[frame.id]
        if place is None:
            raise Unmeetable("oracle: no plan meets the deadline")
        return subject.amot(oracle.plan(place)).infer(frame)

    return Policy(infer, setup.link.call)


def _fixed(first: float, second: float = 0.0, *, remembers: bool = True) -> Callable[[Setup], Policy]:
    """The same shares of patches for every photo; a server that remembers nothing looks at everything again."""

    def make(setup: Setup) -> Policy:
        subject, call = setup.subject, setup.link.call
        plan = Fixed("webp", FIXED_QUALITY, subject.patches(first), subject.patches(second), FIXED_BELOW)
        return Policy(subject.amot(plan).infer, call if remembers else _forgetful(call))

    return make


def _forgetful(call: Call) -> Call:
    """So that a second round sends everything, and costs the server a full pass."""

    def forgetting(request: Request, timeout_s: float) -> Reply:
        if request.payloads[0].kind == "requested":
            raise SessionForgotten("session: forgotten on purpose")
        return call(request, timeout_s)

    return forgetting


def _whole(codec: ImageCodec, quality: int) -> Callable[[Setup], Policy]:
    """The whole photo."""

    def make(setup: Setup) -> Policy:
        return Policy(Remote(codec, quality, setup.subject.rounds.classifier).infer, setup.link.call)

    return make


OURS, ORACLE = "A-MOT", "oracle"
POLICIES: dict[str, Callable[[Setup], Policy]] = {
    OURS: _planned,
    ORACLE: _foreseen,
    "fixed 25 % + 25 %, light second look": _fixed(0.25, 0.25),
    "MOT: fixed 25 % + 25 %, full second look": _fixed(0.25, 0.25, remembers=False),
    "fixed 25 %": _fixed(0.25),
    "fixed 50 %": _fixed(0.5),
    "whole photo, WebP q20": _whole("webp", 20),
    "whole photo, JPEG q50": _whole("jpeg", 50),
}
