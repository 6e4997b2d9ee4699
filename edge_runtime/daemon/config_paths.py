"""What the paths of a configuration lack on this machine, each in one line that begins with the key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edge_runtime.daemon.config import Bps, Callback, Camera, Folder, JsonLines, Mqtt, Video
from edge_runtime.errors import BundleError
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_runtime.daemon.config import Config, Sink, Source


def lacking(config: Config) -> Iterator[str]:
    """Bundles that do not load, files that cannot be read, folders that cannot be made or written."""
    if config.bundle:
        yield from _bundle("bundle", config.bundle)
    for key in ("tls_ca", "tls_cert", "tls_key"):
        yield from _readable(f"link.{key}", getattr(config.link, key))
    if config.spool:
        yield from _writable("spool.path", config.spool.path.parent)
    for index, source in enumerate(config.source):
        yield from _source(f"source[{index}]", source)
    for index, sink in enumerate(config.sink):
        yield from _sink(f"sink[{index}]", sink)


def _source(key: str, source: Source) -> Iterator[str]:
    for name in ("bundle", "fallback"):
        if path := getattr(source, name):
            yield from _bundle(f"{key}.{name}", path)
    if isinstance(source.system, Bps):
        yield from _readable(f"{key}.system.tables", source.system.tables)
    if isinstance(source, Video):
        yield from _readable(f"{key}.path", source.path)
    if isinstance(source, Camera) and source.device.startswith("/") and not os.path.exists(source.device):  # noqa: PTH110
        yield f"{key}.device: {source.device} is not there; is the camera connected?"
    if isinstance(source, Folder):
        yield from _writable(f"{key}.path", source.path)
        if source.moved_to:
            yield from _writable(f"{key}.moved_to", source.moved_to)


def _sink(key: str, sink: Sink) -> Iterator[str]:
    if isinstance(sink, JsonLines):
        yield from _writable(f"{key}.path", sink.path.parent)
    if isinstance(sink, Callback):
        yield from _readable(f"{key}.token_file", sink.token_file)
    if isinstance(sink, Mqtt):
        yield from _readable(f"{key}.password_file", sink.password_file)
    if isinstance(sink, Callback | Mqtt):
        yield from _readable(f"{key}.tls_ca", sink.tls_ca)


def _bundle(key: str, path: Path) -> Iterator[str]:
    try:
        Bundle.load(path)
    except BundleError as error:
        yield f"{key}: {error}"


def _readable(key: str, path: Path | None) -> Iterator[str]:
    if path and not path.is_file():
        yield f"{key}: {path} is no file; put it there, or change the path"
    elif path and not os.access(path, os.R_OK):
        yield f"{key}: {path} may not be read; change its owner or mode"


def _writable(key: str, folder: Path) -> Iterator[str]:
    """A folder that is there, or the nearest above it, in which it would be made."""
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not there.is_dir():
        yield f"{key}: {there} is no folder; change the path"
    elif not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        yield f"{key}: {there} may not be written; change its owner or mode"
