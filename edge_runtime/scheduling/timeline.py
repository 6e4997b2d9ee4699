"""What a run of the scheduler leaves behind, real or simulated: each frame's outcome, each stage's span."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.scheduling.dispatch import Job

Lane = Literal["device", "link", "server"]
LANES: tuple[Lane, ...] = ("device", "link", "server")
Fate = Literal["device", "server", "fallback", "dropped", "refused"]
ANSWERED = ("device", "server", "fallback")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one frame; times on the run's clock, in seconds.

    ``fate``: answered by the device, by the server, by the device because the server was lost; ``dropped`` for its
    deadline's sake; ``refused`` because the queue was full. ``plan`` is the name of the one in force.
    """

    frame_id: int
    arrived_s: float
    done_s: float
    deadline_s: float
    fate: Fate
    plan: str = ""

    @property
    def in_time(self) -> bool:
        """Whether it was answered before its deadline."""
        return self.fate in ANSWERED and self.done_s <= self.deadline_s


@dataclass(frozen=True, slots=True)
class Span:
    """One stage of one job: what ``lane`` did from ``start_s`` to ``end_s``, for ``frames`` frames."""

    lane: Lane
    start_s: float
    end_s: float
    job: int
    frames: int
    label: str


@dataclass(slots=True)
class Timeline:
    """A run of ``duration_s`` seconds; ``sent_bytes`` crossed the link upwards."""

    outcomes: list[Outcome] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    plans: list[tuple[float, str]] = field(default_factory=list)
    duration_s: float = 0.0
    sent_bytes: int = 0

    def span(self, lane: Lane, start_s: float, end_s: float, job: Job[Any]) -> None:
        """Add what ``lane`` does for a job."""
        label = job.plan.name if job.sends else f"local({len(job.frames)})"
        self.spans.append(Span(lane, start_s, end_s, job.number, len(job.frames), label))

    def note_plan(self, now: float, name: str) -> None:
        """Add the plan in force, if it is another one than before."""
        if not self.plans or self.plans[-1][1] != name:
            self.plans.append((now, name))

    def rate(self) -> float:
        """Frames answered in time, per second of the run; answers after its end do not count."""
        return sum(one.in_time and one.done_s <= self.duration_s for one in self.outcomes) / self.duration_s

    def summary(self) -> dict[str, Any]:
        """Rate, latency, fates, bytes and what each lane was busy, as plain values."""
        fates = Counter(outcome.fate for outcome in self.outcomes)
        latencies = [one.done_s - one.arrived_s for one in self.outcomes if one.fate in ANSWERED]
        answered = len(latencies)
        return {
            "frames": len(self.outcomes),
            "seconds": self.duration_s,
            "rate": self.rate(),
            "in_time": sum(outcome.in_time for outcome in self.outcomes),
            "fates": dict(fates),
            "latency_ms": {f"p{p}": float(np.percentile(latencies, p)) * 1e3 if latencies else None for p in (50, 95)},
            "sent_bytes_per_answer": self.sent_bytes / answered if answered else None,
            "busy": {lane: self._busy_s(lane) / self.duration_s for lane in LANES},
            "plans": dict(Counter(one.plan for one in self.outcomes if one.plan).most_common()),
        }

    def _busy_s(self, lane: Lane) -> float:
        """Seconds of the run in which a lane did anything: requests that share a run at the server share its time."""
        busy_s = free_s = 0.0
        for start_s, end_s in sorted((span.start_s, span.end_s) for span in self.spans if span.lane == lane):
            busy_s += max(min(end_s, self.duration_s) - max(start_s, free_s), 0.0)
            free_s = max(free_s, end_s)
        return busy_s

    def over_time(self, window_s: float) -> tuple[list[float], list[float]]:
        """Middles of windows of ``window_s`` seconds, and the frames answered in time per second in each."""
        count = max(round(self.duration_s / window_s), 1)
        done = [one.done_s for one in self.outcomes if one.in_time]
        found, edges = np.histogram(done, bins=count, range=(0, count * window_s))
        return ((edges[:-1] + edges[1:]) / 2).tolist(), (found / window_s).tolist()


def write_trace(timeline: Timeline, path: Path) -> None:
    """Write the spans as trace events (JSON), which Perfetto and chrome://tracing open."""
    names = [
        {"ph": "M", "pid": 1, "tid": number, "name": "thread_name", "args": {"name": lane}}
        for number, lane in enumerate(LANES, 1)
    ]
    events = [
        {
            "ph": "X",
            "pid": 1,
            "tid": LANES.index(span.lane) + 1,
            "ts": span.start_s * 1e6,
            "dur": (span.end_s - span.start_s) * 1e6,
            "name": span.label,
            "args": {"job": span.job, "frames": span.frames},
        }
        for span in timeline.spans
    ]
    path.write_text(json.dumps({"traceEvents": names + events, "displayTimeUnit": "ms"}))


def order_problems(timeline: Timeline, offered: Sequence[int]) -> list[str]:
    """What is wrong with the accounts of a run, one line each: frames of ``offered`` without or with two outcomes."""
    counts = Counter(outcome.frame_id for outcome in timeline.outcomes)
    lost = [f"frame {frame}: no outcome" for frame in offered if counts[frame] == 0]
    return lost + [f"frame {frame}: {count} outcomes" for frame, count in counts.items() if count > 1]
