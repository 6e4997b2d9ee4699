"""Tests of edge_runtime.codecs.jpeg."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge_runtime.codecs import jpeg
from edge_runtime.errors import PayloadError


@pytest.mark.parametrize("quality", [1, 25, 49, 50, 75, 100])
def test_rebuilt_header_equals_the_librarys_own(picture, quality):
    """Scan and rebuilt tables decode to the pixels of an ordinary JPEG file of the same quality."""
    row = np.ascontiguousarray(picture[:16])
    out = io.BytesIO()
    Image.fromarray(row).save(out, "JPEG", quality=quality, subsampling="4:2:0")

    decoded = jpeg.decode(jpeg.encode(row, quality), 224, 16, quality)

    assert np.array_equal(np.asarray(Image.open(out)), decoded)


def test_scan_saves_the_header(picture):
    """625 bytes of an ordinary file are not sent."""
    row = np.ascontiguousarray(picture[:16])
    out = io.BytesIO()
    Image.fromarray(row).save(out, "JPEG", quality=75, subsampling="4:2:0")

    assert len(out.getvalue()) - len(jpeg.encode(row, 75)) == 625


def test_marker_in_the_scan(picture):
    """A scan that opens a second picture is refused where it does so."""
    scan = jpeg.encode(np.ascontiguousarray(picture[:16]), 75)

    with pytest.raises(PayloadError, match=f"marker at byte {len(scan)}"):
        jpeg.decode(scan + b"\xff\xd8", 224, 16, 75)


@pytest.mark.parametrize("quality", [0, 101, 255])
def test_quality_out_of_range(quality):
    """A quality that no encoder writes is refused."""
    with pytest.raises(PayloadError, match=f"quality {quality}"):
        jpeg.decode(b"", 16, 16, quality)


@given(scan=st.binary(max_size=400), quality=st.integers(0, 255))
def test_any_scan(scan, quality):
    """Any bytes decode to a picture of the announced size or raise PayloadError."""
    with contextlib.suppress(PayloadError):
        assert jpeg.decode(scan, 48, 16, quality).shape == (16, 48, 3)
