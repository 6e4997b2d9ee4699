"""Policies of the race of modes: the controller, the published one, the oracle, fixed modes, and whole photos."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from link_runs import WARM_UP_S, Policy, Run, Shown, ask, ask_all, connected
from link_traces import FASTEST, ROUND_TRIP_S
from slimmable_oracle import Foreseen, Watch, best

from edge_runtime.cli_family import ESTIMATES
from edge_runtime.control.bandwidth_average import BandwidthAverage
from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.control.mode_controller import FIRST_BANDWIDTH, ModeController
from edge_runtime.control.modes import LEVELS
from edge_runtime.errors import Unmeetable
from edge_runtime.evaluation.slimmable_grid import whole_network
from edge_runtime.evaluation.trace_syntax import LinkTrace
from edge_runtime.messages import Mode
from edge_runtime.scheduling.traces import Trace
from edge_runtime.systems.remote import Remote
from edge_runtime.systems.slimmable import Fixed, Slimmable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from link_runs import Late
    from link_traces import Cell
    from numpy.typing import NDArray

    from edge_runtime.codecs.image import ImageCodec
    from edge_runtime.control.mode_choice import Conditions
    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.messages import Frame
    from edge_runtime.models import Bundle
    from edge_runtime.systems import Inference
    from edge_runtime.systems.family import Family
    from edge_runtime.systems.slimmable import Controller

# What every number of encoders is measured on before the race, so many photos each.
MEASURED_ON, MEASURED_PHOTOS = LinkTrace(Trace.constant(FASTEST), ROUND_TRIP_S), 12
# The oracle that asks for real allows for all but one in so many of the photos that it was shown.
CAREFUL = 0.9
FIXED = ((1, 1.0), (4, 1.0), (2, 2.0), (4, 2.0), (4, 4.0))


class Subject:
    """What is raced: a bundle's family of encoders, how long they take here, its server, and photos."""

    def __init__(self, bundle: Bundle, family: Family, photos: Sequence[Photo], address: str) -> None:
        self.bundle, self.family, self.table, self.address = bundle, family, family.table, address
        self.encode_s = family.encoders.warm_up()
        self.shown = Shown(bundle, photos)
        self.sizes = cache(self._sizes)

    def slimmable(self, controller: Controller) -> Slimmable:
        """The system, with any controller."""
        return Slimmable(self.family.encoders, self.family.codec, self.family.spec.decoder, controller)

    def watched(self, controller: Controller, link: MeasuredLink, trace: LinkTrace) -> Policy:
        """The system with a controller whose choices, over such a link, are written down."""
        watch = Watch(controller)

        def late(started_s: float) -> Late:
            answered = [one for one in watch.answered if one.since_s >= started_s]
            return self.foreseen(trace).lateness(answered, started_s)

        return Policy(self.slimmable(watch).infer, link.call, lambda: watch.modes[-1], late)

    def foreseen(self, trace: LinkTrace) -> Foreseen:
        """What photos take in each mode over such a link."""
        return Foreseen(self.table, self.encode_s, trace)

    def _sizes(self, number: int) -> NDArray[np.float64]:
        """What a photo packs to in each mode, in bytes."""
        frame = self.shown.frame(number, 0.0)
        latents = [self.family.encoders.latent(frame, place + 1) for place in range(len(self.family.encoders))]
        return np.array(
            [
                float(len(self.family.codec.encode(latents[one.encoders - 1], one.encoders, one.levels)))
                for one in self.table.modes
            ]
        )


def run(name: str, cell: Cell, subject: Subject, late_s: float) -> Run:
    """The policy of that name in a cell; the oracle expects photos to be so late."""
    with connected(subject.bundle, subject.address, cell.link) as link:
        return ask_all(POLICIES[name](Setup(subject, cell, link, late_s)), subject.shown, cell, link)


def measure(subject: Subject) -> Late:
    """How late photos are on a fast link, for every number of encoders."""
    late: list[tuple[Mode, float]] = []
    with connected(subject.bundle, subject.address, MEASURED_ON) as link:
        for number in range(1, len(subject.family.encoders) + 1):
            mode = Mode(number, subject.family.codec.levels[-1])
            policy = subject.watched(Fixed(mode), link, MEASURED_ON)
            for photo in range(MEASURED_PHOTOS):
                ask(policy, subject.shown, photo, time.monotonic() + WARM_UP_S, link)
            late += policy.late(0.0)
    return late


def choices(subject: Subject, cell: Cell, late_s: float, *, weighs: bool = True) -> list[int | None]:
    """The place of the oracle's mode for every photo of a cell, None for those that no mode could answer in time.

    One that does not weigh photos knows the link alone, and takes each to pack to as much as most do at most.
    """
    foreseen = subject.foreseen(cell.link)
    most = np.array([one.bytes.most for one in subject.table.modes])
    return [
        best(
            subject.table,
            foreseen.total_s(number * cell.deadline_s, subject.sizes(number) if weighs else most) + late_s,
            cell.left_s,
        )
        for number in range(cell.photos)
    ]


class Setup(NamedTuple):
    """What a policy may know before it starts; of the cell and of ``late_s``, how late photos are, only the oracle."""

    subject: Subject
    cell: Cell
    link: MeasuredLink
    late_s: float


class Published(ModeController):
    """As published, round trip and server are left to the bandwidth as it is measured, and to the factor."""

    def conditions(self, now: float) -> Conditions:
        """What is believed of encoders and bandwidth alone."""
        return super().conditions(now)._replace(round_trip_s=0.0, server_s=0.0)


def _controlled(estimate: type[BandwidthAverage | LinkEstimate]) -> Callable[[Setup], Policy]:
    """Our controller, which learns the link as it goes."""

    def make(setup: Setup) -> Policy:
        subject, client = setup.subject, setup.link.client
        client.ping(WARM_UP_S)  # the first one opens the connection
        link = estimate(FIRST_BANDWIDTH, client.ping(WARM_UP_S), time.monotonic())
        controller = ModeController(subject.table.modes, subject.encode_s, subject.table.server_ms, link)
        return subject.watched(controller, setup.link, setup.cell.link)

    return make


def _published(setup: Setup) -> Policy:
    subject, link = setup.subject, BandwidthAverage(FIRST_BANDWIDTH, round_trip_s=0.0)
    controller = Published(subject.table.modes, subject.encode_s, subject.table.server_ms, link)
    return subject.watched(controller, setup.link, setup.cell.link)


def _foreseen(setup: Setup) -> Policy:
    """The oracle, asking for real."""
    subject = setup.subject
    chosen = [
        None if place is None else subject.table.modes[place].mode
        for place in choices(subject, setup.cell, setup.late_s)
    ]
    planned: list[Mode | None] = []

    def infer(frame: Frame) -> Inference:
        mode = chosen[frame.id]
        planned.append(mode)
        if mode is None:
            raise Unmeetable("oracle: no mode meets the deadline")
        return subject.slimmable(Fixed(mode)).infer(frame)

    return Policy(infer, setup.link.call, lambda: planned[-1])


def _fixed(encoders: int, bits: float) -> Callable[[Setup], Policy]:
    """The same mode for every photo."""

    def make(setup: Setup) -> Policy:
        return setup.subject.watched(Fixed(Mode(encoders, LEVELS[bits])), setup.link, setup.cell.link)

    return make


def _whole(codec: ImageCodec, quality: int) -> Callable[[Setup], Policy]:
    """The whole photo."""

    def make(setup: Setup) -> Policy:
        return Policy(Remote(codec, quality, whole_network(setup.subject.bundle)).infer, setup.link.call)

    return make


ESTIMATORS = {"ema": BandwidthAverage, "sums": LinkEstimate}
# The command line's default.
OURS = f"slimmable, {ESTIMATES[0]}"
PUBLISHED, ORACLE = "as published", "oracle"
POLICIES: dict[str, Callable[[Setup], Policy]] = {
    **{f"slimmable, {name}": _controlled(ESTIMATORS[name]) for name in ESTIMATES},
    PUBLISHED: _published,
    ORACLE: _foreseen,
    **{f"fixed: members {encoders}, bits {bits:g}": _fixed(encoders, bits) for encoders, bits in FIXED},
    "whole photo, WebP q20": _whole("webp", 20),
    "whole photo, JPEG q30": _whole("jpeg", 30),
}
