"""Records and captured frames."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from edge_runtime.daemon.frames import Captured, Dropped, Record

PAGE = Path(__file__).parents[2] / "docs" / "daemon.md"


def test_every_key_of_a_record_is_explained() -> None:
    """The page's table has the keys of a record, and no others."""
    table = PAGE.read_text().partition("## The record")[2].partition("## ")[0]
    named = [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(Record.__struct_fields__)


def test_every_status_of_the_local_port_is_explained() -> None:
    """The page's table has every status that posting a photo may be answered with, and no others."""
    folder = Path(__file__).parents[2] / "edge_runtime" / "daemon"
    source = "".join((folder / name).read_text() for name in ("web.py", "bodies.py"))
    names = set(re.findall(r"web\.HTTP(\w+)", source)) - {"Exception"}
    codes = {
        "BadRequest": 400,
        "Forbidden": 403,
        "NotFound": 404,
        "RequestTimeout": 408,
        "RequestEntityTooLarge": 413,
        "UnsupportedMediaType": 415,
        "UnprocessableEntity": 422,
        "TooManyRequests": 429,
        "InternalServerError": 500,
        "ServiceUnavailable": 503,
    }
    assert names <= codes.keys()
    rows = re.findall(r"^\| (\d{3}) \|", PAGE.read_text(), re.MULTILINE)
    assert [int(row) for row in rows] == [200, *sorted(codes[name] for name in names)]


def test_both_who_wait_are_told_of_a_failure_once() -> None:
    """An answer that is there already stays."""

    async def scenario() -> None:
        captured = Captured("one", b"", 0.0)
        captured.answered.cancel()
        captured.fail(Dropped("full", "one: not answered"))
        assert captured.answered.cancelled()
        with pytest.raises(Dropped, match="not answered"):
            await captured.recorded

    asyncio.run(scenario())
