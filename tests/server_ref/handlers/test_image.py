"""Tests of server_ref.handlers.image."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.codecs import image
from edge_runtime.errors import PayloadError
from server_ref.handlers import HANDLERS


def test_whole_image_is_all_patches(pixels):
    """Every patch comes out, in raster order."""
    picture = HANDLERS["image"](image.encode(pixels, "png"), 64, 16)

    assert np.array_equal(np.arange(16), picture.indices)
    assert np.array_equal(pixels[16:32, 48:64], picture.patches[7])


def test_smaller_image(pixels):
    """A picture of another size than the frame is refused, not resized."""
    with pytest.raises(PayloadError, match="64 × 32 is not the bundle's frame of 64 × 64"):
        HANDLERS["image"](image.encode(np.ascontiguousarray(pixels[:32]), "png"), 64, 16)


def test_larger_image(pixels):
    """A larger picture is refused by its header."""
    with pytest.raises(PayloadError, match="64 × 64 is larger than 32 × 32"):
        HANDLERS["image"](image.encode(pixels, "png"), 32, 16)
