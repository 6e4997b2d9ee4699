"""From a source's table to the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.daemon import config
from edge_runtime.daemon.sources.camera import Camera
from edge_runtime.daemon.sources.folder import Folder, Taken
from edge_runtime.daemon.sources.posted import Posted
from edge_runtime.daemon.sources.video import Video

if TYPE_CHECKING:
    from edge_runtime.daemon.sources import Source
    from edge_runtime.daemon.sources.posted import Desks


def open_source(settings: config.Source, desks: Desks, taken: Taken) -> Source:
    """The source; what it lacks shows when it is run. ``desks`` and ``taken`` outlive it, for the next one."""
    if isinstance(settings, config.Folder):
        return Folder(settings, taken)
    if isinstance(settings, config.Posted):
        return Posted(settings, desks)
    if isinstance(settings, config.Camera):
        return Camera(settings)
    return Video(settings)


def when_full(settings: config.Source) -> config.WhenFull:
    """What becomes of a frame for which there is no room: files wait, a camera goes on, who posts is told at once."""
    if settings.when_full is not None:
        return settings.when_full
    if isinstance(settings, config.Camera):
        return "drop-oldest"
    return "drop-newest" if isinstance(settings, config.Posted) else "wait"
