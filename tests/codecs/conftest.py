"""What the codec tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """A smooth synthetic picture with edges, uint8[224, 224, 3]: compresses like a photo, not like noise."""
    y, x = np.mgrid[0:224, 0:224] / 224
    red = 128 + 100 * np.sin(6 * x + 3 * y)
    green = 255 * y * (1 - x)
    blue = 60 + 120 * (np.hypot(x - 0.5, y - 0.4) < 0.3)
    return np.stack((red, green, blue), axis=-1).astype(np.uint8)


@pytest.fixture(scope="session")
def tables() -> bytes:
    """Tables that `exporters.calibration` made of smooth synthetic maps [5, 14, 14], half of whose blocks are quiet."""
    return (Path(__file__).parent / "golden" / "features-v1.tables").read_bytes()
