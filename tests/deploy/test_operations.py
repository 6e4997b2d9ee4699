"""The operator's page says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from edge_runtime.daemon.frames import DropReason
from edge_runtime.daemon.metrics import Metrics

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def rows() -> dict[str, tuple[str, str]]:
    """Labels and meaning of every metric of the page's table."""
    found = re.findall(r"^\| `(edge_runtime_\w+)` \|([^|]*)\| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: (labels.strip(), meaning) for name, labels, meaning in found}


def test_every_metric_is_explained_with_its_labels() -> None:
    """No metric without a row, no row without a metric."""
    collectors = [one for one in vars(Metrics()).values() if hasattr(one, "_labelnames")]
    suffix = {"counter": "_total"}
    exported = {f"{one._name}{suffix.get(one._type, '')}": ", ".join(one._labelnames) for one in collectors}
    assert {name: labels for name, (labels, _) in rows().items()} == exported


def test_every_reason_for_a_dropped_frame_is_named() -> None:
    """As the queue has them."""
    _, meaning = rows()["edge_runtime_dropped_frames_total"]
    assert set(re.findall(r"`(\w+)`", meaning)) - {"max_fps"} == set(get_args(DropReason))


def test_alerts_ask_for_metrics_that_there_are() -> None:
    """An alert on a misspelt name would never fire."""
    asked = set(re.findall(r"edge_runtime_\w+", PAGE.read_text()))
    assert asked <= rows().keys()


def test_what_the_page_names_is_in_the_tree() -> None:
    """Files and links that are gone are no help at three in the morning."""
    text = PAGE.read_text()
    root = PAGE.parents[1]
    for path in re.findall(r"`?(deploy/[\w./-]+\w)", text):
        assert (root / path).exists(), path
    for example in re.findall(r"/examples/([\w.]+\.conf)", text):
        assert (root / "deploy" / "systemd" / "examples" / example).exists()
    for link in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (PAGE.parent / link).exists(), link
