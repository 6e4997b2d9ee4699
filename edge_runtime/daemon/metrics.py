"""What the daemon counts and measures, as Prometheus has it: base units, counters that end in ``_total``."""

from __future__ import annotations

from collections import Counter as Counts
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from edge_runtime.transport.spool import Reason, Spool

# Seconds; from a gate's millisecond to a deadline that somebody forgot.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The daemon's metrics, in a registry of their own; `docs/operations.md` says what each means."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"edge_runtime_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"edge_runtime_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"edge_runtime_{name}", text, labels, registry=registry, buckets=BUCKETS)

        self.frames = counter("frames", "Frames that were answered, dropped or refused", "source")
        self.dropped = counter("dropped_frames", "Frames that left the queue unanswered", "source", "reason")
        self.refused = counter("refused_photos", "Photos that could not be read", "source")
        self.answers = counter("answers", "Frames by who answered them", "source", "decided_by")
        self.late = counter("late_answers", "Answers after their deadline", "source")
        self.payload_bytes = counter("payload_bytes", "Bytes sent to the server for frames", "source")
        self.whole_bytes = counter("whole_photo_bytes", "Bytes that sending whole photos would have taken", "source")
        self.audits = counter("audits", "Sure answers held against the server's", "source", "outcome")
        self.answer_seconds = histogram("answer_seconds", "Seconds from capture to answer", "source")
        self.stage_seconds = histogram("stage_seconds", "Seconds that a stage took", "source", "stage")
        self.queued = gauge("queued_frames", "Frames that wait", "source")
        self.in_flight = gauge("frames_in_flight", "Frames under way", "source")
        self.link_up = gauge("link_up", "Whether the server would be asked now", "server")
        self.records = counter("records", "Records by what became of them at a sink", "sink", "outcome")
        self.spooled_items = gauge("spooled_items", "Items in the spool", "lane")
        self.spooled_bytes = gauge("spooled_bytes", "Bytes of the items in the spool", "lane")
        self.spool_file_bytes = gauge("spool_file_bytes", "Bytes that the spool takes on disk")
        self.spool_dropped = counter("spool_dropped_items", "Items that the spool gave up", "lane", "reason")
        self.reloads = counter("config_reloads", "Reloads of the configuration", "outcome")
        self.loop_lag_seconds = gauge("loop_lag_seconds", "How late the event loop's last turn was")
        self.loop_tasks = gauge("loop_tasks", "Tasks of the event loop")
        self.connections = gauge("http_connections", "Open connections of the local port")
        self.turned_away = counter("http_refused_connections", "Connections turned away or closed", "reason")
        self._spool_dropped: Counts[tuple[str, Reason]] = Counts()
        self._spool_lanes: set[str] = set()

    def follow_spool(self, spool: Spool) -> None:
        """Show the spool as it is now; lanes that are empty by now are shown as such."""
        waiting = dict(spool.waiting)
        self._spool_lanes |= waiting.keys()
        for lane in self._spool_lanes:
            found = waiting.get(lane)
            self.spooled_items.labels(lane).set(found.items if found else 0)
            self.spooled_bytes.labels(lane).set(found.bytes if found else 0)
        self.spool_file_bytes.set(spool.file_bytes)
        dropped = Counts(dict(spool.dropped))
        for (lane, reason), count in (dropped - self._spool_dropped).items():
            self.spool_dropped.labels(lane, reason).inc(count)
        self._spool_dropped = dropped
