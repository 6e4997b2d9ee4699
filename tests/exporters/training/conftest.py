"""Tiny synthetic photos: three colours are three classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = {"n1": (200, 40, 40), "n2": (40, 200, 40), "n3": (40, 40, 200)}


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen 48 × 40 photos of each colour under noise."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for i in range(14):
            pixels = (np.array(colour) + rng.normal(0, 20, (40, 48, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder
