"""Logs: structured, to standard error, in the form that whoever reads there understands.

Everything goes through one handler, what libraries log and warn of too. A value never begins a new line, nor moves a
terminal's cursor: what is not printable is escaped.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

    from edge_runtime.daemon.config import Log

# As the journal counts, after syslog.
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# What these say at "info" is of every file and request.
TALKATIVE = ("aiohttp.access", "watchfiles")
EVERY_S = 60.0
_PLAIN = re.compile(r"[\w./:@%+-]+")


class Handler(logging.StreamHandler):  # type: ignore[type-arg]  # Python 3.10 has no such argument
    """The one handler, known by its class when it is replaced."""


class Seldom:
    """Warns of a thing at once, then at most once a minute, saying how often it was left out."""

    def __init__(self, log: FilteringBoundLogger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._next_s: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, event: str, **values: object) -> None:
        """``event`` tells one thing from another, so it should be one of a few words."""
        now = self._clock()
        if now < self._next_s.get(event, now):
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        self._next_s[event] = now + EVERY_S
        left_out = self._left_out.pop(event, 0)
        self._log.warning(event, **values, **({"left_out": left_out} if left_out else {}))


def configure(settings: Log, environ: Mapping[str, str], stream: TextIO | None = None) -> None:
    """Log as the settings say, to standard error by default; may be called again."""
    stream = stream or sys.stderr
    form = settings.format if settings.format != "auto" else _form(environ, stream)
    level = LEVELS[settings.level]
    common: list[Processor] = [structlog.stdlib.add_log_level]
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(form, stream)],
        )
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)


def _form(environ: Mapping[str, str], stream: TextIO) -> str:
    """Who reads the stream: the journal says which stream is its own, by device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return "json"
    if environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}":
        return "journal"
    return "console" if stream.isatty() else "json"


def _rendering(form: str, stream: TextIO) -> list[Processor]:
    if form == "journal":
        return [structlog.processors.format_exc_info, _journal]
    if form == "console":
        clock = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        console = structlog.dev.ConsoleRenderer(colors=stream.isatty(), event_key="event")
        return [clock, structlog.processors.format_exc_info, _escaped, console]
    clock = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return [clock, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _journal(_: WrappedLogger, __: str, event: EventDict) -> str:
    """One line without a time, which the journal knows, after the priority that it takes off."""
    priority = PRIORITIES[event.pop("level")]
    words = [printable(str(event.pop("event")))]
    words += [f"{printable(key)}={_value(value)}" for key, value in event.items()]
    return f"<{priority}>{' '.join(words)}"


def _value(value: object) -> str:
    text = printable(str(value))
    if _PLAIN.fullmatch(text):
        return text
    quoted = text.replace('"', r"\"")
    return f'"{quoted}"'


def _escaped(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """With texts made printable; a traceback keeps its lines, which only people read here."""
    for key, value in event.items():
        if isinstance(value, str):
            lines = value.split("\n") if key == "exception" else [value]
            event[key] = "\n".join(printable(line) for line in lines)
    return event


def printable(text: str) -> str:
    """The text with all that is not printable escaped as in Python's own literals."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
