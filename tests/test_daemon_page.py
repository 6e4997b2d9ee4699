"""The picture of the status page: a real daemon, its server, real photographs, and a browser that looks."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
def test_the_picture_shows_real_frames_and_their_patches(tmp_path: Path) -> None:
    """Every photograph is there with its answer, those that were asked about with the patches that travelled."""
    import daemon_page

    out = tmp_path / "page.png"
    found = daemon_page.look(out)
    assert found["errors"] == []
    assert found["canvases"] == len(daemon_page.NAMES)
    assert "All right" in found["text"]
    for name in daemon_page.NAMES:
        assert f"{name}.jpg" in found["text"]
    decided = sum(source["answers"].get("server", 0) for source in found["state"]["sources"])
    assert found["text"].count("of 196 patches") == decided > 0
    assert np.asarray(Image.open(out).convert("RGB")).std() > 10
