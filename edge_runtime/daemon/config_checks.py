"""What a configuration's tables cannot check alone: settings that exclude or need each other, and names of others.

Every finding is one line that begins with the key. Nothing outside the configuration is looked at.
"""

from __future__ import annotations

import ipaddress
import os.path
from typing import TYPE_CHECKING

from edge_runtime.daemon.config import (
    Amot,
    Attention,
    Bps,
    Callback,
    Camera,
    Folder,
    JsonLines,
    Local,
    Mqtt,
    Posted,
    Slimmable,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator
    from pathlib import Path

    from edge_runtime.daemon.config import Config, Link, Sink, Source, System

# Their device answers by itself when there is no server.
ANSWERING = (Attention, Bps, Local)


def conflicts(config: Config) -> Iterator[str]:
    """What makes the configuration one that cannot be run."""
    yield from _link(config.link)
    if config.http.listen and _host(config.http.listen) is None:
        yield f"http.listen: {config.http.listen!r} is no address; write it like 127.0.0.1:8470 or unix:/run/x.sock"
    yield from _twice("source[{}].name", (source.name for source in config.source))
    yield from _twice("sink[{}].name", (sink.name for sink in config.sink))
    folders = (_normal(source.path) if isinstance(source, Folder) else None for source in config.source)
    yield from _twice("source[{}].path", folders)
    files = (_normal(sink.path) if isinstance(sink, JsonLines) else None for sink in config.sink)
    yield from _twice("sink[{}].path", files)
    for index, source in enumerate(config.source):
        yield from (f"source[{index}].{found}" for found in _source(source, config))
        yield from (f"source[{index}].system{found}" for found in _system(source.system))
    for index, sink in enumerate(config.sink):
        yield from (f"sink[{index}].{found}" for found in _sink(sink))


def doubts(config: Config) -> list[str]:
    """What may be run but is seldom meant."""
    found = []
    host = _host(config.http.listen)
    if host and not _is_loopback(host):
        found.append(f"http.listen: {config.http.listen} can be reached from other machines, and asks for no password")
    if not config.source:
        found.append("source: none, so no frame will be answered; add a [[source]]")
    for index, source in enumerate(config.source):
        if source.fallback and isinstance(source.system, ANSWERING):
            found.append(f"source[{index}].fallback: is never used, the system has answers of its own")
        if not isinstance(source, Posted) and not (config.sink if source.sinks is None else source.sinks):
            found.append(f"source[{index}].sinks: none, so its answers are shown on the status page only")
    for index, sink in enumerate(config.sink):
        if isinstance(sink, Callback) and sink.token_file and sink.url.startswith("http:"):
            found.append(f"sink[{index}].token_file: its token travels unencrypted; use an https url")
        if isinstance(sink, Mqtt) and sink.password_file and not sink.tls:
            found.append(f"sink[{index}].password_file: its password travels unencrypted; set tls = true")
    return found


def _link(link: Link) -> Iterator[str]:
    if link.server and not link.server.rpartition(":")[0]:
        yield f"link.server: {link.server!r} has no port; write it like {link.server}:50151"
    if link.tls and not link.server:
        yield "link.tls: goes with a server; set link.server or take it out"
    for key in ("tls_ca", "tls_cert", "tls_key"):
        if getattr(link, key) and not link.tls:
            yield f"link.{key}: goes with tls; set link.tls = true or take it out"
    if (link.tls_cert is None) != (link.tls_key is None):
        given, missing = ("tls_cert", "tls_key") if link.tls_cert else ("tls_key", "tls_cert")
        yield f"link.{given}: needs link.{missing} too; give both or neither"
    if link.probe_first_ms > link.probe_longest_ms:
        yield f"link.probe_first_ms: {link.probe_first_ms:g} is more than probe_longest_ms, {link.probe_longest_ms:g}"


def _source(source: Source, config: Config) -> Iterator[str]:
    kind = _kind(source.system)
    if source.bundle is None and config.bundle is None:
        yield "bundle: is missing; name a bundle here or at the top of the file"
    known = [sink.name for sink in config.sink]
    for name in source.sinks or ():
        if name not in known:
            yield f"sinks: {name!r} is no sink; there are {', '.join(known) or 'none'}"
    if not config.link.server and not isinstance(source.system, ANSWERING) and source.fallback is None:
        yield f"system.kind: {kind} asks a server; set link.server, or give a fallback"
    if source.in_flight not in (None, 1) and isinstance(source.system, Amot | Slimmable):
        yield f"in_flight: is {source.in_flight}; {kind} follows the link by one request at a time, set it to 1"
    if source.ask_later:
        yield from _ask_later(source, config)
    if source.audit:
        if not isinstance(source.system, ANSWERING):
            yield f"audit: {kind} has no answers of the device's own; take it out"
        elif not config.link.server:
            yield "audit: holds answers against a server's; set link.server or take it out"
    yield from _kind_of_source(source, config)


def _ask_later(source: Source, config: Config) -> Iterator[str]:
    if isinstance(source.system, Bps | Local):
        yield f"ask_later: {_kind(source.system)} asks for nothing that could be asked later; take it out"
    if config.spool is None:
        yield "ask_later: keeps frames in the spool; add [spool] with a path"
    if not config.link.server:
        yield "ask_later: asks a server; set link.server or take it out"


def _kind_of_source(source: Source, config: Config) -> Iterator[str]:
    if isinstance(source, Posted) and not config.http.listen:
        yield "kind: http takes photos from the local port; set http.listen"
    if isinstance(source, Camera) and source.when_full == "wait":
        yield "when_full: a camera does not wait; give one of drop-newest, drop-oldest"
    if isinstance(source, Folder):
        if (source.after == "move") != (source.moved_to is not None):
            wanted = "is missing; say where to" if source.moved_to is None else 'goes with after = "move"; set both'
            yield f"moved_to: {wanted}"
        elif source.moved_to and _is_within(source.moved_to, source.path):
            yield f"moved_to: {source.moved_to} lies in the folder itself, {source.path}; give another one"


def _system(system: System) -> Iterator[str]:
    if isinstance(system, Amot) and system.plan:
        for key in ("wanted", "price"):
            if getattr(system, key) is not None:
                yield f".{key}: a plan leaves nothing to plan; take out one of both"
    if isinstance(system, Slimmable):
        given = system.members is not None
        if given != (system.bits is not None):
            here, other = ("members", "bits") if given else ("bits", "members")
            yield f".{here}: needs {other} too; give both, or neither to have modes chosen"
        elif given and (system.estimate != "sums" or system.whole_bits):
            yield ".members: with bits leaves nothing to choose; take out estimate and whole_bits"


def _sink(sink: Sink) -> Iterator[str]:
    if isinstance(sink, Callback):
        if sink.tls_ca and sink.url.startswith("http:"):
            yield "tls_ca: goes with an https url; change one of both"
        if "@" in sink.url.split("/")[2]:
            yield "url: holds a user or password; put a token into token_file"
    if isinstance(sink, Mqtt):
        if sink.tls_ca and not sink.tls:
            yield "tls_ca: goes with tls; set tls = true or take it out"
        if sink.password_file and not sink.username:
            yield "password_file: goes with a username; give both"


def _twice(key: str, values: Iterable[Hashable]) -> Iterator[str]:
    first: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if value is not None and first.setdefault(value, index) != index:
            yield f"{key.format(index)}: {value} is that of {key.format(first[value])} too; give it another"


def _kind(system: System) -> str:
    return str(system.__struct_config__.tag)


def _host(listen: str) -> str | None:
    """The host of ``HOST:PORT``, empty of a Unix socket or of nothing; None of what is no address."""
    if not listen or (listen.startswith("unix:") and listen != "unix:"):
        return ""
    host, _, port = listen.rpartition(":")
    return host.strip("[]") if host and port.isdecimal() and int(port) < 1 << 16 else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _normal(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - without following links, which need not be there yet


def _is_within(path: Path, folder: Path) -> bool:
    return os.path.commonpath((_normal(path), _normal(folder))) == _normal(folder)
