"""The daemon's metrics, as Prometheus gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from edge_runtime.daemon.metrics import Metrics
from edge_runtime.transport.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def metrics() -> Metrics:
    """Nothing counted yet."""
    return Metrics()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty spool of a mebibyte."""
    with Spool(tmp_path / "spool.db", MIB, 60.0, "oldest") as opened:
        yield opened


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One sample; None where there is none."""
    return metrics.registry.get_sample_value(f"edge_runtime_{name}", labels)


def test_names_follow_prometheus(metrics: Metrics) -> None:
    """Ours have our name first, no unit but seconds and bytes, and a help text; the process's own are there too."""
    families = {
        family.name: family for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
    }
    ours = [family for name, family in families.items() if name.startswith("edge_runtime_")]
    assert len(ours) > 20
    assert all(family.documentation for family in ours)
    assert not [family.name for family in ours if family.name.endswith(("_ms", "_milliseconds", "_total_total"))]
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info"} <= families.keys()


def test_two_daemons_in_a_process_do_not_meet(metrics: Metrics) -> None:
    """Each has a registry of its own."""
    metrics.frames.labels("gate").inc()
    assert value(Metrics(), "frames_total", source="gate") is None


def test_the_spool_is_shown_by_lane(metrics: Metrics, spool: Spool) -> None:
    """A lane that is empty by now is shown as empty, not as it last was."""
    spool.put("cloud", "a", b"four")
    spool.put("cloud", "b", b"more")
    spool.put("ask:gate", "a", b"question")
    metrics.follow_spool(spool)
    assert value(metrics, "spooled_items", lane="cloud") == 2
    assert value(metrics, "spooled_bytes", lane="cloud") == 8
    assert value(metrics, "spooled_items", lane="ask:gate") == 1
    assert value(metrics, "spool_file_bytes") == spool.file_bytes > 0
    for key in ("a", "b"):
        spool.acknowledge("cloud", key)
    assert spool.next("cloud") is None
    metrics.follow_spool(spool)
    assert value(metrics, "spooled_items", lane="cloud") == value(metrics, "spooled_bytes", lane="cloud") == 0


def test_what_the_spool_gave_up_is_counted_once(metrics: Metrics, spool: Spool) -> None:
    """However often it is looked at."""
    for _ in range(2):
        spool.put("cloud", "large", bytes(2 * MIB))
        metrics.follow_spool(spool)
        metrics.follow_spool(spool)
    assert value(metrics, "spool_dropped_items_total", lane="cloud", reason="large") == 2
