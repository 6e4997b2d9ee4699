"""``edge-runtime evaluate --system bps``: the scheduler and its rivals over the same link, load and photos."""

from __future__ import annotations

import itertools
import math
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.evaluation.link import following
from edge_runtime.evaluation.points import wilson
from edge_runtime.messages import Frame
from edge_runtime.photos import open_frame
from edge_runtime.scheduling.dispatch import Dispatcher
from edge_runtime.scheduling.executor import Executor, Queued
from edge_runtime.scheduling.simulator import Load, World, simulate
from edge_runtime.scheduling.timeline import Outcome, Timeline
from edge_runtime.systems.driver import drive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_runtime.evaluation.link import MeasuredLink
    from edge_runtime.evaluation.trace_syntax import LinkTrace
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.models.bundle import FrameSpec
    from edge_runtime.scheduling.device import Device
    from edge_runtime.scheduling.dispatch import Late
    from edge_runtime.scheduling.executor import Result
    from edge_runtime.scheduling.state import Policy
    from edge_runtime.scheduling.tables import Tables

PINGS, PATIENCE_S = 5, 5.0
# Decoded photos are kept, and shown again when they have all been: decoding is not what is measured.
MOST_PHOTOS = 512


@dataclass(frozen=True)
class Scenario:
    """What every policy meets: a link over time, arrivals (None: a queue that never empties), a deadline per frame.

    The device does all its work ``repeat`` times, as one that is so much slower would.
    """

    trace: LinkTrace
    arrivals: list[float] | None
    duration_s: float
    deadline_s: float = float("inf")
    repeat: int = 1
    late: Late = "drop"
    capacity: int = 64


@dataclass
class Run:
    """One policy's run; ``right`` of ``answered`` photos got their label."""

    policy: str
    timeline: Timeline
    answered: int = 0
    right: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        found = {"policy": self.policy, **self.timeline.summary(), **self.notes}
        if self.answered:
            found |= {"accuracy": self.right / self.answered, "interval": wilson(self.right, self.answered)}
        return found


class Shots:
    """Labelled photos as frames, again and again, each with its place in the row as its id."""

    def __init__(self, photos: Sequence[Photo], frame: FrameSpec) -> None:
        kept = photos[:MOST_PHOTOS]
        self._pixels = [open_frame(photo.data, frame) for photo in kept]
        self._labels = [photo.label for photo in kept]

    def frames(self, deadline_s: float) -> Iterator[Frame]:
        """Endless frames; each one's deadline is counted from when it is asked for."""
        for number in itertools.count():
            yield Frame(number, self._pixels[number % len(self._pixels)], time.monotonic() + deadline_s)

    def is_right(self, result: Result) -> bool:
        """Whether a frame was answered with its label."""
        return result.answer is not None and result.answer.label == self._labels[result.frame.id % len(self._labels)]


def run(scenario: Scenario, policy: Policy, tables: Tables, device: Device, link: MeasuredLink, shots: Shots) -> Run:
    """Run a policy for real; raises LinkError when there is no server to begin with."""
    link.client.describe()  # closes a breaker that an earlier run may have left open
    _warm_up(device, tables, link, next(shots.frames(math.inf)))
    link.reshape(scenario.trace.shape(scenario.trace.bandwidth.at(0.0)))
    round_trip_s = min(link.client.ping(PATIENCE_S) for _ in range(PINGS))
    dispatcher: Dispatcher[Queued] = Dispatcher(
        policy,
        tables,
        LinkEstimate(tables.bandwidth, round_trip_s, time.monotonic()),
        capacity=scenario.capacity,
        deadline_s=scenario.deadline_s,
        late=scenario.late,
    )
    found = Run(policy.name, Timeline(duration_s=scenario.duration_s))
    with (
        following(scenario.trace, link),
        Executor(dispatcher, device, link.client, repeat=scenario.repeat, timeline=found.timeline) as executor,
    ):
        reader = threading.Thread(target=_read, args=(executor, shots, found), name="results")
        reader.start()
        refused = _feed(executor, scenario, shots.frames(scenario.deadline_s))
        executor.close()
        reader.join()
    found.timeline.outcomes += refused
    if executor.trouble:
        found.notes["trouble"] = executor.trouble
    return found


def simulated(scenario: Scenario, policy: Policy, tables: Tables, seed: int = 0) -> Run:
    """The same in virtual time, in a world that is as ``tables`` say, where answers are right as often as they say."""
    world = World(tables.slowed(scenario.repeat), scenario.trace.bandwidth, scenario.trace.round_trip_s)
    load = Load(scenario.arrivals, scenario.duration_s, scenario.deadline_s)
    return Run(policy.name, simulate(world, policy, load, seed=seed))


def _warm_up(device: Device, tables: Tables, link: MeasuredLink, frame: Frame) -> None:
    """Run every model once, here and there: nobody's first run is what later ones are like."""
    drive(device.local().infer_batch([frame]), link.call)
    for site in tables.sites:
        level = site.levels[0]
        drive(device.sending(site.cut, level.codec, level.quality).infer_batch([frame]), link.call)


def _read(executor: Executor, shots: Shots, found: Run) -> None:
    for result in executor.results():
        found.answered += result.answer is not None
        found.right += shots.is_right(result)


def _feed(executor: Executor, scenario: Scenario, frames: Iterator[Frame]) -> list[Outcome]:
    """Submit frames as they arrive; returns those that found the queue full."""
    start_s = time.monotonic()
    refused: list[Outcome] = []
    if scenario.arrivals is None:
        while (left_s := start_s + scenario.duration_s - time.monotonic()) > 0:
            executor.submit(next(frames), left_s)
        return refused
    for at_s in scenario.arrivals:
        time.sleep(max(start_s + at_s - time.monotonic(), 0.0))
        frame = next(frames)
        if not executor.submit(frame, 0.0):
            refused.append(Outcome(frame.id, at_s, at_s, frame.deadline_s - start_s, "refused"))
    time.sleep(max(start_s + scenario.duration_s - time.monotonic(), 0.0))
    return refused
