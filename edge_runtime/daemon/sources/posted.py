"""The source of photos that are posted to the local port: a desk there, open while the source runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edge_runtime.daemon import config
    from edge_runtime.daemon.intake import Intake


class Desk(NamedTuple):
    """Where a posted photo goes, and how long its answer may take."""

    intake: Intake
    deadline_s: float


class Desks:
    """The open desks by their source's name; of one event loop."""

    def __init__(self) -> None:
        self._open: dict[str, Desk] = {}

    def open(self, name: str, desk: Desk) -> None:
        """Take photos under this name; a later desk takes over from an earlier one."""
        self._open[name] = desk

    def close(self, name: str, desk: Desk) -> None:
        """Take no more, unless a later desk has the name already."""
        if self._open.get(name) is desk:
            del self._open[name]

    def find(self, name: str | None) -> Desk | None:
        """The desk of that name; without a name the only one."""
        if name is None:
            return next(iter(self._open.values())) if len(self._open) == 1 else None
        return self._open.get(name)


class Posted:
    """Frames that `edge_runtime.daemon.web` captures for it, because the requests come there."""

    trouble = ""

    def __init__(self, settings: config.Posted, desks: Desks) -> None:
        self._settings, self._desks = settings, desks

    async def run(self, intake: Intake) -> None:
        """Keep a desk open until cancelled."""
        desk = Desk(intake, self._settings.deadline_ms / 1000)
        self._desks.open(self._settings.name, desk)
        intake.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._desks.close(self._settings.name, desk)
