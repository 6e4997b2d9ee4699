"""The status page of a real daemon, as a picture.

    python benchmarks/daemon_page.py --out docs/pictures/daemon-page.png

A server and a daemon with the zoo's bundle answer the photographs that come with scikit-image, by HTTP and by a folder;
then headless Chromium looks. Needs playwright and Debian's chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon_link import ZOO, Setting, source
from daemon_process import DaemonProcess, put
from PIL import Image
from playwright.sync_api import sync_playwright

from edge_runtime.models import Bundle
from server_ref.backend import Backend
from server_ref.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "camera", "immunohistochemistry", "retina")
# The page shows five pictures a second at most.
SPACING_S = 0.4
# Fewer patches than the bundle would send, so that the picture shows which; and some answers of the device's own.
SYSTEM = '{ kind = "attention", eta = 0.35, delta = 0.6 }'


def photographs() -> Iterable[tuple[str, bytes]]:
    """Name and JPEG of some photographs that anybody may show."""
    from skimage import data

    for name in NAMES:
        file = io.BytesIO()
        Image.fromarray(getattr(data, name)()).convert("RGB").save(file, "JPEG", quality=90)
        yield f"{name}.jpg", file.getvalue()


def look(out: Path, width: int = 1280) -> dict[str, Any]:
    """Take the picture; what the page says about itself, and what the daemon does."""
    with tempfile.TemporaryDirectory() as folder, Server(Backend.open(Bundle.load(ZOO))) as server:
        setting = Setting(Path(folder), server.address)
        watched = setting.folder / "in"
        tables = source("door", ZOO, SYSTEM, more="audit = 1.0")
        tables += source("yard", ZOO, SYSTEM, "folder", f'path = "{watched}"\nafter = "delete"')
        with DaemonProcess(setting.config(tables)) as daemon:
            for number, (name, photo) in enumerate(photographs()):
                if number % 2:
                    put(watched, name, photo)
                else:
                    daemon.post("door", photo, name)
                time.sleep(SPACING_S)
            return _seen(daemon, out, width)


def _seen(daemon: DaemonProcess, out: Path, width: int) -> dict[str, Any]:
    host, port = daemon.address
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://{host}:{port}/")
        page.wait_for_selector("#frames canvas")
        page.wait_for_timeout(1500)
        page.screenshot(path=out, full_page=True)
        text = page.inner_text("body")
        canvases = page.locator("#frames canvas").count()
        browser.close()
    return {"text": text, "canvases": canvases, "errors": errors, "state": daemon.state()}


def main() -> None:
    """Take the picture and say what is on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="PNG")
    out: Path = parser.parse_args().out
    found = look(out)
    # A page has few colours, and photographs of this size need no more.
    Image.open(out).convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(out, optimize=True)
    print(found["text"])


if __name__ == "__main__":
    main()
