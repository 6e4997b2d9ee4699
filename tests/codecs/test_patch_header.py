"""Tests of edge_runtime.codecs.patch_header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.codecs.patch_header import PatchHeader, check_frame, check_grid
from edge_runtime.codecs.patch_row import CODECS
from edge_runtime.errors import ArgumentError, PayloadError

HEADER = PatchHeader("sketch", b"XY", 3, "BH4s")
PAYLOAD = HEADER.seal("jpeg", 80, (7, 300, b"abcd"), b"content")


@given(st.sampled_from(CODECS), st.integers(1, 100), st.integers(0, 65535), st.binary(max_size=50))
def test_what_was_sealed_is_read(codec, quality, number, content):
    """Fields and content come back; the quality only with jpeg, which decodes by it."""
    data = HEADER.seal(codec, quality, (1, number, b"four"), content)

    assert HEADER.read(data) == (codec, quality if codec == "jpeg" else 0, (1, number, b"four"))
    assert HEADER.content(data) == content
    assert len(data) == HEADER.size + len(content)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PAYLOAD[:15], "sketch: 15 bytes end inside the header of 16"),
        (b"EP" + PAYLOAD[2:], "sketch: the bytes start with 4550, expected 5859"),
        (PAYLOAD[:2] + b"\x04" + PAYLOAD[3:], "sketch: format version 4 is unknown, this decoder reads 3"),
        (PAYLOAD[:3] + b"\x03" + PAYLOAD[4:], "sketch: codec 3 is unknown, this decoder reads 0..2"),
    ],
)
def test_a_foreign_header_is_refused(data, message):
    """In one line that begins with the kind."""
    with pytest.raises(PayloadError) as error:
        HEADER.read(data)

    assert str(error.value) == message


@given(st.integers(0, 8 * len(PAYLOAD) - 1))
def test_any_flipped_bit_is_noticed(bit):
    """Wherever it stands, that of the checksum included."""
    broken = bytearray(PAYLOAD)
    broken[bit // 8] ^= 1 << bit % 8

    with pytest.raises(PayloadError, match=r"^sketch: checksum is .*, send it again"):
        HEADER.content(bytes(broken))


def test_another_frame_is_refused():
    """By its grid or by its patches."""
    check_frame("sketch", (14, 14, 16), (14, 14), 16)
    with pytest.raises(PayloadError, match=r"^sketch: grid 14 × 14 of 16 pixels, expected 14 × 14 of 32$"):
        check_frame("sketch", (14, 14, 16), (14, 14), 32)


@pytest.mark.parametrize("grid", [(0, 14), (14, 256)])
def test_a_grid_beyond_a_byte_is_refused(grid):
    """With its limit."""
    with pytest.raises(ArgumentError, match=r"^grid: \d+ × \d+ patches, each side may have 1\.\.255$"):
        check_grid(grid)
