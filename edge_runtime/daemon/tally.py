"""What became of a source's frames: counted for Prometheus and for the status page in the same breath."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge_runtime.daemon.state import SourceState

if TYPE_CHECKING:
    from edge_runtime.daemon.frames import DropReason, Record
    from edge_runtime.daemon.metrics import Metrics

AuditOutcome = Literal["agreed", "disagreed", "lost"]
# Frames that the page's percentiles and means look back on.
LAST = 256
PERCENTILES = (50, 95, 99)


class Tally:
    """One source's counts since the daemon's start; a reload that changes the source begins anew."""

    def __init__(self, source: str, metrics: Metrics) -> None:
        self.source, self._metrics = source, metrics
        self._answers: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._audits: Counter[str] = Counter()
        self._frames = self._refused = self._late = self._payload_bytes = self._whole_bytes = 0
        self._last: deque[Record] = deque(maxlen=LAST)

    def dropped(self, reason: DropReason) -> None:
        """The queue gave a frame up."""
        self._seen()
        self._dropped[reason] += 1
        self._metrics.dropped.labels(self.source, reason).inc()

    def refused(self) -> None:
        """A photo could not be read."""
        self._seen()
        self._refused += 1
        self._metrics.refused.labels(self.source).inc()

    def answered(self, record: Record) -> None:
        """A frame has its record."""
        self._seen()
        self._answers[record.decided_by] += 1
        self._payload_bytes += record.payload_bytes
        self._whole_bytes += record.whole_bytes
        self._last.append(record)
        metrics = self._metrics
        metrics.answers.labels(self.source, record.decided_by).inc()
        metrics.payload_bytes.labels(self.source).inc(record.payload_bytes)
        metrics.whole_bytes.labels(self.source).inc(record.whole_bytes)
        metrics.answer_seconds.labels(self.source).observe(record.latency_ms / 1e3)
        for stage, taken_ms in record.timings_ms.items():
            metrics.stage_seconds.labels(self.source, stage).observe(taken_ms / 1e3)
        if not record.in_time:
            self._late += 1
            metrics.late.labels(self.source).inc()

    def audited(self, outcome: AuditOutcome) -> None:
        """A sure answer was held against the server's."""
        self._audits[outcome] += 1
        self._metrics.audits.labels(self.source, outcome).inc()

    def waiting(self, queued: int, in_flight: int) -> None:
        """How many frames are there now."""
        self._metrics.queued.labels(self.source).set(queued)
        self._metrics.in_flight.labels(self.source).set(in_flight)

    def state(self, kind: str, system: str, queued: int, in_flight: int) -> SourceState:
        """All of it at this moment."""
        return SourceState(
            name=self.source,
            kind=kind,
            system=system,
            queued=queued,
            in_flight=in_flight,
            frames=self._frames,
            answers=dict(self._answers),
            dropped=dict(self._dropped),
            refused=self._refused,
            late=self._late,
            payload_bytes=self._payload_bytes,
            whole_bytes=self._whole_bytes,
            audits=dict(self._audits),
            latency_ms=self._latency_ms(),
            stages_ms=self._stages_ms(),
        )

    def _seen(self) -> None:
        self._frames += 1
        self._metrics.frames.labels(self.source).inc()

    def _latency_ms(self) -> dict[str, float]:
        if not self._last:
            return {}
        found = np.percentile([record.latency_ms for record in self._last], PERCENTILES)
        return {f"p{percent}": float(value) for percent, value in zip(PERCENTILES, found, strict=True)}

    def _stages_ms(self) -> dict[str, float]:
        """Means over all the last frames, so that they add up even where a stage is rare."""
        sums: Counter[str] = Counter()
        for record in self._last:
            sums.update(record.timings_ms)
        return {stage: total / len(self._last) for stage, total in sums.items()}
