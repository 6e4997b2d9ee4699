"""How the daemon is doing at one moment, as the status page and ``/state`` show it."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "degraded", "failed"]


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that may be wrong; ``reason`` is empty while it is not."""

    name: str
    level: Level
    reason: str


class LinkState(msgspec.Struct, frozen=True, kw_only=True):
    """A server and its breaker; ``breaker`` is ``closed`` while requests pass."""

    server: str
    breaker: Literal["closed", "open", "half-open"]


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """A source since the daemon's start; ``stages_ms`` are means over the last frames, ``latency_ms`` percentiles."""

    name: str
    kind: str
    system: str
    queued: int
    in_flight: int
    frames: int
    answers: dict[str, int]
    dropped: dict[str, int]
    refused: int
    late: int
    payload_bytes: int
    whole_bytes: int
    audits: dict[str, int]
    latency_ms: dict[str, float]
    stages_ms: dict[str, float]


class SpoolState(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a server; ``file_bytes`` of at most ``max_bytes`` on disk."""

    items: int
    bytes: int
    file_bytes: int
    max_bytes: int


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. ``level`` is the worst of the conditions'; ``started`` is UTC in ISO 8601."""

    version: str
    kernels: str
    started: str
    uptime_s: float
    level: Level
    conditions: list[Condition]
    links: list[LinkState]
    sources: list[SourceState]
    spool: SpoolState | None
