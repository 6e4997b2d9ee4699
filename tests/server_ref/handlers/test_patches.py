"""Tests of server_ref.handlers.patches."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.codecs import patches
from edge_runtime.errors import PayloadError
from server_ref.handlers import HANDLERS

SOME = np.array([2, 3, 9], np.uint16)


def test_patches_and_their_places(pixels):
    """What was sent comes out, and where it belongs."""
    sent = kernels.gather(pixels, SOME, 16)

    picture = HANDLERS["patches"](patches.encode(sent, SOME, (4, 4), "raw"), 64, 16)

    assert np.array_equal(SOME, picture.indices)
    assert np.array_equal(sent, picture.patches)


def test_patches_of_another_frame(pixels):
    """Patches of a frame that is not the bundle's are refused."""
    data = patches.encode(kernels.gather(pixels, SOME, 16), SOME, (4, 4), "raw")

    with pytest.raises(PayloadError, match="grid 4 × 4 of 16 pixels, expected 14 × 14 of 16"):
        HANDLERS["patches"](data, 224, 16)
