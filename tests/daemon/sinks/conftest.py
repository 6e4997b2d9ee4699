"""What tests of sinks share: records, metrics, a spool, and what became of the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.daemon.frames import Record
from edge_runtime.daemon.metrics import Metrics
from edge_runtime.transport.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def make(key: object, revises: bool = False) -> Record:
    """A record like any other."""
    return Record(
        key=str(key),
        source="gate",
        name=f"{key}.jpg",
        captured="2026-01-02T03:04:05.678+00:00",
        system="attention",
        label="church",
        probability=0.93,
        decided_by="edge",
        why="min-entropy 0.31 is below 0.80",
        min_entropy=0.31,
        patches_sent=0,
        payload_bytes=0,
        whole_bytes=9876,
        rounds=0,
        latency_ms=21.5,
        deadline_ms=1000.0,
        in_time=True,
        timings_ms={"decode": 3.1, "edge": 18.0},
        bundle_hash="ab",
        revises=revises,
    )


@pytest.fixture
def record() -> Callable[..., Record]:
    """Makes records, by key."""
    return make


@pytest.fixture
def metrics() -> Metrics:
    """Metrics that count only this test's records."""
    return Metrics()


@pytest.fixture
def outcomes(metrics: Metrics) -> Callable[[], dict[str, int]]:
    """What became of how many records, at all sinks."""

    def counted() -> dict[str, int]:
        samples = next(iter(metrics.records.collect())).samples
        return {one.labels["outcome"]: int(one.value) for one in samples if one.name.endswith("_total") and one.value}

    return counted


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A spool with room."""
    with Spool(tmp_path / "spool.db", 4 << 20, 1e9, "oldest") as opened:
        yield opened
