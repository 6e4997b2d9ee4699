"""Logs, in the form that whoever reads them understands."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import warnings
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest
import structlog

from edge_runtime.daemon.config import Log
from edge_runtime.daemon.logs import Seldom, configure, printable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("restored_logs")
HOSTILE = 'a.jpg\n<3>all is lost \x1b[2J\x9b2J \u202eevil "quoted"\udce9'



def logged(form: str, level: str = "info") -> io.StringIO:
    """Where logs of this form go now."""
    stream = io.StringIO()
    configure(Log(format=form, level=level), {}, stream)  # type: ignore[arg-type]
    return stream


def test_the_journal_gets_a_priority_and_no_time() -> None:
    """Priorities are syslog's; values follow as key=value."""
    stream = logged("journal", "debug")
    log = structlog.get_logger(source="door")
    log.debug("looked", files=3)
    log.info("answered", label="church", why="not sure", share=0.5)
    log.warning("late")
    log.error("gone", reason="")
    assert stream.getvalue().splitlines() == [
        "<7>looked source=door files=3",
        '<6>answered source=door label=church why="not sure" share=0.5',
        "<4>late source=door",
        '<3>gone source=door reason=""',
    ]


@pytest.mark.parametrize("form", ["journal", "console", "json"])
def test_nothing_that_is_logged_begins_a_line_of_its_own(form: str) -> None:
    """Neither in an event, a key, a value nor a library's message; nor does it move a terminal's cursor."""
    stream = logged(form)
    structlog.get_logger().info(f"took {HOSTILE}", photo=HOSTILE)
    logging.getLogger("aiohttp.server").warning("no such path: %s", HOSTILE)
    lines = stream.getvalue().removesuffix("\n").split("\n")
    assert len(lines) == 2
    for line in lines:
        assert line.isprintable()


def test_text_outside_ascii_stays_readable() -> None:
    """Only what is not printable is escaped."""
    assert printable("café ×\t\x00\udce9") == "café ×\\t\\x00\\udce9"


def test_elsewhere_a_line_is_json_with_its_time() -> None:
    """In UTC, as programs read it."""
    stream = logged("json")
    structlog.get_logger().warning("late", ms=12.5, photo=HOSTILE)
    found = json.loads(stream.getvalue())
    age = datetime.now(timezone.utc) - datetime.fromisoformat(found.pop("timestamp").replace("Z", "+00:00"))
    assert abs(age.total_seconds()) < 60
    assert found == {"event": "late", "level": "warning", "ms": 12.5, "photo": HOSTILE}


@pytest.mark.parametrize("form", ["journal", "console", "json"])
def test_an_exception_is_logged_whole(form: str) -> None:
    """Ours and those of libraries, with what led there."""
    stream = logged(form)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("asyncio").exception("failed")
    text = stream.getvalue()
    assert text.count("failed") == text.count("Traceback") == 2
    assert all(line.isprintable() for line in text.split("\n"))
    if form != "console":
        assert len(text.splitlines()) == 2


def test_less_than_the_level_is_left_out() -> None:
    """Also of libraries, the talkative ones among them; warnings of Python are warnings."""
    stream = logged("journal", "warning")
    structlog.get_logger().info("usual")
    logging.getLogger("grpc").info("usual")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        warnings.warn("careful", UserWarning, stacklevel=1)
    assert "usual" not in stream.getvalue()
    assert "careful" in stream.getvalue()


@pytest.mark.parametrize("name", ["aiohttp.access", "watchfiles.main"])
def test_talkative_libraries_are_heard_when_something_is_wrong(name: str) -> None:
    """Each request and each file is none of the log's business."""
    stream = logged("journal")
    logging.getLogger(name).info("a request")
    logging.getLogger(name).error("a fault")
    assert stream.getvalue() == "<3>a fault\n"


def test_configuring_again_replaces_what_was() -> None:
    """Also for loggers that were there before."""
    log = structlog.get_logger(source="door")
    first, second = logged("journal"), logged("journal", "debug")
    log.debug("looked")
    assert (first.getvalue(), second.getvalue()) == ("", "<7>looked source=door\n")


def test_a_file_gets_json_and_the_journals_own_stream_its_form(tmp_path: Path) -> None:
    """The journal names its stream by device and inode, so that a redirected one is not taken for it."""
    with (tmp_path / "log").open("w+") as file:
        configure(Log(), {}, file)
        structlog.get_logger().info("one")
        configure(Log(), {"JOURNAL_STREAM": "1:1"}, file)
        structlog.get_logger().info("two")
        status = os.fstat(file.fileno())
        configure(Log(), {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, file)
        structlog.get_logger().info("three")
        file.seek(0)
        one, two, three = file.read().splitlines()
    assert (json.loads(one)["event"], json.loads(two)["event"], three) == ("one", "two", "<6>three")


def test_a_terminal_gets_lines_for_people() -> None:
    """With the time of day, in colour."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        configure(Log(), {}, terminal)
        structlog.get_logger().info("hello", photo="a.jpg")
        text = os.read(master, 1000).decode()
    os.close(master)
    assert "hello" in text
    assert "\x1b[" in text
    assert "{" not in text


def test_what_is_repeated_is_said_now_and_then() -> None:
    """At once, then once a minute with how often it was left out; another thing is said at once again."""
    stream = logged("journal")
    now = [100.0]
    log = Seldom(structlog.get_logger(sink="out"), clock=lambda: now[0])
    for _ in range(4):
        log.warning("disk full", reason="no room")
    log.warning("moved")
    now[0] += 60
    log.warning("disk full", reason="no room")
    now[0] += 61
    log.warning("disk full", reason="no room")
    assert stream.getvalue().splitlines() == [
        '<4>disk full sink=out reason="no room"',
        "<4>moved sink=out",
        '<4>disk full sink=out reason="no room" left_out=3',
        '<4>disk full sink=out reason="no room"',
    ]
