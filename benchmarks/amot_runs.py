"""Policies of the race of two rounds: the planner, the oracle, fixed shares of patches, and whole photos."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from amot_oracle import Oracle, Watch, heavy, lateness, weights
from link_runs import WARM_UP_S, Call, Policy, Run, Shown, ask, ask_all, connected
from link_traces import MBIT, ROUND_TRIP_S

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.control.round_plans import RoundPlans
from edge_runtime.control.slo import Slo
from edge_runtime.errors import SessionForgotten, Unmeetable
from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.scheduling.traces import Trace
from edge_runtime.systems.amot import Amot, Fixed
from edge_runtime.systems.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from link_runs import Late
    from link_traces import Cell
    from numpy.typing import NDArray

    from edge_runtime.codecs.image import ImageCodec
    from edge_runtime.control.rounds import RoundTables
    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Frame, Reply, Request
    from edge_runtime.models import Bundle
    from edge_runtime.systems import Inference
    from edge_runtime.systems.amot import Planner

# What is believed of a link before anything has crossed it.
FIRST_BANDWIDTH = MBIT
# What every round is measured on before the race, so many photos for each number of patches.
MEASURED_ON, MEASURED_PHOTOS = LinkTrace(Trace.constant(20 * MBIT), ROUND_TRIP_S), 12
# The oracle that asks for real allows for all but one in so many of the rounds that it was shown.
CAREFUL = 0.9
# How the fixed plans pack patches, and when they let the server ask.
FIXED_QUALITY, FIXED_BELOW = 35, 0.9


class Subject:
    """What is raced: a bundle, the tables of its two rounds, its server, and photos."""

    def __init__(self, bundle: Bundle, tables: RoundTables, photos: Sequence[Photo], address: str) -> None:
        self.bundle, self.tables, self.address = bundle, tables, address
        self.plans = RoundPlans(tables, None, 0.0)
        assert bundle.manifest.rounds is not None
        self.rounds = bundle.manifest.rounds
        self.shown = Shown(bundle, photos)
        self.weights = cache(self._weights)

    def amot(self, planner: Planner) -> Amot:
        """The system of two rounds, with any planner."""
        return Amot(self.bundle.frame, self.rounds.pattern, planner, self.rounds.classifier)

    def patches(self, share: float) -> int:
        """A share of a frame's patches."""
        return round(share * self.bundle.frame.grid**2)

    def watched(self, watch: Watch, call: Call, link: LinkTrace) -> Policy:
        """The system of two rounds with a planner whose rounds, over such a link, are written down."""

        def late(started_s: float) -> Late:
            rounds = [one for one in watch.rounds if one.since_s >= started_s]
            return lateness(rounds, self.plans, link, started_s)

        return Policy(self.amot(watch).infer, call, lambda: watch.plans[-1], late)

    def _weights(self, number: int) -> NDArray[np.float64]:
        return weights(self.shown.frame(number, 0.0), self.bundle.frame, self.rounds.pattern, self.tables)


def run(name: str, cell: Cell, subject: Subject, late_s: tuple[float, float]) -> Run:
    """The policy of that name in a cell; the oracle expects rounds to be so late."""
    with connected(subject.bundle, subject.address, cell.link) as link:
        return ask_all(POLICIES[name](Setup(subject, cell, link, late_s)), subject.shown, cell, link)


def measure(subject: Subject) -> Late:
    """How late rounds are on a fast link, for every number of first patches."""
    late: list[tuple[bool, float]] = []
    total, setting = subject.bundle.frame.grid**2, subject.tables.settings[0]
    with connected(subject.bundle, subject.address, MEASURED_ON) as link:
        for first, photo in itertools.product(subject.tables.first, range(MEASURED_PHOTOS)):
            second = max(count for count in subject.tables.second if first + count <= total)
            watch = Watch(Fixed(setting.codec, setting.quality, first, second, FIXED_BELOW))
            policy = subject.watched(watch, link.call, MEASURED_ON)
            ask(policy, subject.shown, photo, time.monotonic() + WARM_UP_S, link)
            late += policy.late(0.0)
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
    return subject.watched(Watch(Slo(subject.tables, estimate)), setup.link.call, setup.cell.link)


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
