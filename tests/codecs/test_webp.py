"""Tests of edge_runtime.codecs.webp."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge_runtime.codecs import webp
from edge_runtime.errors import PayloadError


@pytest.mark.parametrize("width", [1, 16, 17, 208])
def test_frame_without_envelope_decodes_as_the_file(picture, width):
    """The frame alone decodes to the pixels of the whole WebP file, 20 bytes larger."""
    row = np.ascontiguousarray(picture[:16, :width])
    out = io.BytesIO()
    Image.fromarray(row).save(out, "WEBP", quality=75, method=4)
    frame = webp.encode(row, 75)

    assert len(out.getvalue()) - len(frame) == 20
    assert np.array_equal(np.asarray(Image.open(out)), webp.decode(frame, width, 16))


def test_other_size(picture):
    """A frame of another size than announced is refused by its header."""
    with pytest.raises(PayloadError, match="picture is 224 × 16, expected 240 × 16"):
        webp.decode(webp.encode(np.ascontiguousarray(picture[:16]), 75), 240, 16)


def test_too_short():
    """Fewer bytes than a frame header are refused."""
    with pytest.raises(PayloadError, match="9 bytes, a VP8 frame has at least 10"):
        webp.decode(bytes(9), 16, 16)


def test_not_a_key_frame(picture):
    """An inter frame has nothing to refer to and is refused."""
    frame = bytearray(webp.encode(np.ascontiguousarray(picture[:16]), 75))
    frame[0] |= 1

    with pytest.raises(PayloadError, match="VP8 key frame"):
        webp.decode(bytes(frame), 224, 16)


@given(tail=st.binary(max_size=400))
def test_any_frame_body(tail):
    """Any bytes after a valid frame header decode to the announced size or raise PayloadError."""
    header = b"\x10\x02\x00\x9d\x01\x2a\x30\x00\x10\x00"
    with contextlib.suppress(PayloadError):
        assert webp.decode(header + tail, 48, 16).shape == (16, 48, 3)
