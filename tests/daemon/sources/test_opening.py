"""From a source's table to the source."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.sources.camera import Camera
from edge_runtime.daemon.sources.folder import Folder
from edge_runtime.daemon.sources.opening import open_source, when_full
from edge_runtime.daemon.sources.posted import Desks, Posted
from edge_runtime.daemon.sources.video import Video

KINDS = [
    (config.Folder(name="a", system=config.Local(), path=Path("in")), Folder, "wait"),
    (config.Posted(name="b", system=config.Local()), Posted, "drop-newest"),
    (config.Camera(name="c", system=config.Local(), device="0"), Camera, "drop-oldest"),
    (config.Video(name="d", system=config.Local(), path=Path("a.avi")), Video, "wait"),
]


@pytest.mark.parametrize(("settings", "kind", "default"), KINDS, ids=[kind.__name__ for _, kind, _ in KINDS])
def test_every_table_has_its_source(settings: config.Source, kind: type, default: config.WhenFull) -> None:
    """Files wait for room; a camera's newest frame counts; who posts is told at once."""
    assert type(open_source(settings, Desks(), {})) is kind
    assert when_full(settings) == default


def test_what_was_asked_for_when_full_is_done() -> None:
    """Whatever the kind."""
    assert when_full(config.Posted(name="b", system=config.Local(), when_full="wait")) == "wait"
