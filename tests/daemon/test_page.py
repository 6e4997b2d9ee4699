"""The status page in a headless Chromium, with a port of its own behind it."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from edge_runtime.daemon.frames import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    MakePort = Callable[..., Any]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.long, pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")]

HOSTILE = "<img src=x onerror=alert(1)>.jpg"
GRID = 14
SENT = np.array([0, 1, 14, 15, 100], np.uint16)
# Of each picture's overlay the share of pixels that are drawn.
DRAWN = """() => [...document.querySelectorAll("#frames canvas")].map(canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
    return data.filter((value, place) => place % 4 == 3 && value > 0).length * 4 / data.length
})"""


@asynccontextmanager
async def opened(port: Any, problems: list[str]) -> AsyncIterator[Any]:
    """The page of an open port; problems are what it complained of and what it asked others for."""
    playwright = pytest.importorskip("playwright.async_api", reason="comes with the extra `dev`")
    async with playwright.async_playwright() as browsers:
        chromium = await browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = await chromium.new_page()
        tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("dialog", lambda dialog: problems.append(dialog.message))
        tab.on("request", lambda asked: None if ours(asked.url, port) else problems.append(asked.url))
        await tab.goto(port.web.address)
        yield tab
        await chromium.close()


def ours(url: str, port: Any) -> bool:
    """Whether it is on the port, or inside the page itself."""
    return url.startswith((port.web.address, "data:image/jpeg;base64,", "data:,"))


def photo() -> np.ndarray:
    """A cat, uint8 ``[224, 224, 3]``."""
    data = pytest.importorskip("skimage.data", reason="comes with the extra `demo`")
    return np.asarray(Image.fromarray(data.chelsea()).resize((224, 224)))


def show(port: Any, attention: bool, **changes: Any) -> None:
    """One more picture."""
    record: Record = msgspec.structs.replace(port.record, **changes)
    scores = np.linspace(0, 1, GRID**2, dtype=np.float32) if attention else None
    sent = SENT if record.payload_bytes else SENT[:0]
    port.recent.add(record, photo(), GRID, sent, scores)


def test_it_shows_how_the_daemon_is_doing(local_port: MakePort, tmp_path: Path) -> None:
    """State, reasons, link, counts, stages and frames are there in words, and nothing comes from elsewhere."""
    port, problems = local_port(), []
    port.health.report("link", "degraded", "server:50151 is <b>gone</b>")

    async def scenario() -> tuple[str, str, list[float]]:
        async with port, opened(port, problems) as tab:
            show(port, attention=True, name=HOSTILE)
            show(port, attention=False, decided_by="edge", payload_bytes=0, label="tench")
            await tab.wait_for_selector(".frame:nth-child(2)")
            await tab.screenshot(path=tmp_path / "page.png", full_page=True)
            title, text = await tab.title(), await tab.inner_text("body")
            return title, text, await tab.evaluate(DRAWN)

    title, text, (edge, server) = asyncio.run(scenario())
    assert title == "Degraded: edge-runtime"
    for expected in (
        "Degraded",
        "server:50151 is <b>gone</b>",
        "lost, not asked for now",
        "1,240",
        "device 840 (68 %)",
        "88 %",
        "8 full, 2 unreadable",
        "97 of 100 audits",
        "edge 20 ms",
        "p95 88 ms",
        HOSTILE,
        "church",
        "1.2 kB sent of 9.9 kB, 5 of 196 patches",
        "nothing sent",
    ):
        assert expected in text
    assert server > 0.9
    assert edge == 0
    assert problems == []
    with Image.open(tmp_path / "page.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 1000


def test_overlays_can_be_turned_off(local_port: MakePort) -> None:
    """Without attention the shade over what was not sent remains, without that nothing."""
    port, problems = local_port(), []

    async def scenario() -> list[float]:
        async with port, opened(port, problems) as tab:
            show(port, attention=True)
            await tab.wait_for_selector(".frame")
            shares = []
            for box in ("#heat", "#outline"):
                await tab.uncheck(box)
                shares += await tab.evaluate(DRAWN)
            return shares

    shade, nothing = asyncio.run(scenario())
    assert 1 - len(SENT) / GRID**2 <= shade < 1
    assert nothing == 0
    assert problems == []


def test_it_says_when_there_is_no_news(local_port: MakePort) -> None:
    """When the daemon is gone the page says so by itself, and when it is back goes on where it was."""

    async def scenario() -> None:
        port = local_port()
        async with port:
            address = port.web.address
            async with opened(port, []) as tab:
                show(port, attention=True)
                await tab.wait_for_selector(".frame")
                await port.web.close()
                await tab.wait_for_selector("#health[data-level=silent]")
                assert "No news" in await tab.inner_text("#level")
                assert await tab.locator(".frame").count() == 1
                async with local_port(listen=address.removeprefix("http://")):
                    await tab.wait_for_selector("#health[data-level=degraded]")

    asyncio.run(scenario())


def test_an_empty_page_says_what_to_do(local_port: MakePort) -> None:
    """Before the first frame there is the command that posts one; without sources, what to configure."""

    async def scenario() -> None:
        port = local_port()
        async with port, opened(port, []) as tab:
            await tab.wait_for_selector("#empty code")
            assert f"{port.web.address}/answer/gate" in await tab.inner_text("#empty")
            port.state = msgspec.structs.replace(port.state, sources=[], links=[], spool=None)
            await tab.wait_for_selector("text=No source is configured")
            await tab.wait_for_selector("text=No server is configured")

    asyncio.run(scenario())
