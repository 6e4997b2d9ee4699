"""Tests of edge_runtime.codecs.patches."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.codecs import patches
from edge_runtime.errors import ArgumentError, PayloadError

GOLDEN = Path(__file__).parent / "golden"
GRID = (14, 14)
SOME = np.array([0, 1, 5, 17, 100, 101, 102, 195], np.uint16)


@pytest.fixture(scope="session")
def some(picture: np.ndarray) -> np.ndarray:
    """Eight patches, uint8[8, 16, 16, 3]."""
    return kernels.gather(picture, SOME, 16)


@pytest.fixture(scope="session")
def payload(some: np.ndarray) -> bytes:
    """The same as a raw payload."""
    return patches.encode(some, SOME, GRID, "raw")


def resealed(data: bytes | bytearray) -> bytes:
    """The same payload with a checksum that fits, so that a test reaches what lies behind the check."""
    return bytes(data[:8]) + zlib.crc32(bytes(data[:8] + data[12:])).to_bytes(4, "little") + bytes(data[12:])


class TestRoundTrip:
    """What goes in comes out."""

    @given(chosen=st.sets(st.integers(0, 195), min_size=1))
    def test_raw_gives_back_every_byte(self, picture, chosen):
        """Indices and raw patches come back exactly, for any subset."""
        indices = np.array(sorted(chosen), np.uint16)
        sent = kernels.gather(picture, indices, 16)

        back, got = patches.decode(patches.encode(sent, indices, GRID, "raw"), GRID, 16)

        assert np.array_equal(indices, back)
        assert np.uint16 == back.dtype
        assert np.array_equal(sent, got)

    @pytest.mark.parametrize("codec", ["jpeg", "webp"])
    def test_lossy_patches_stay_close(self, some, codec):
        """At quality 90 the mean error is below four grey levels though patches meet foreign neighbours."""
        back, got = patches.decode(patches.encode(some, SOME, GRID, codec, 90), GRID, 16)

        assert np.array_equal(SOME, back)
        assert np.abs(got.astype(int) - some).mean() < 4

    @pytest.mark.parametrize("codec", ["raw", "jpeg", "webp"])
    @pytest.mark.parametrize(("grid", "side"), [((1, 1), 16), ((16, 16), 14), ((3, 5), 32), ((24, 24), 16)])
    def test_other_grids(self, codec, grid, side):
        """Any grid and patch side of up to 255 is carried."""
        count = grid[0] * grid[1]
        indices = np.arange(0, count, 2, dtype=np.uint16)
        sent = np.full((len(indices), side, side, 3), 90, np.uint8)

        back, got = patches.decode(patches.encode(sent, indices, grid, codec), grid, side)

        assert np.array_equal(indices, back)
        assert np.abs(got.astype(int) - sent).max() <= 3

    def test_raw_size_is_exact(self, payload):
        """Raw costs 12 bytes of header, 25 of bitmap and 768 per patch."""
        assert len(payload) == 12 + 25 + 8 * 768


class TestGolden:
    """Bytes of format version 1, decoded for ever."""

    def test_raw(self, some):
        """Raw golden bytes decode exactly."""
        indices, got = patches.decode((GOLDEN / "patches-v1-raw.bin").read_bytes(), GRID, 16)

        assert np.array_equal(SOME[:2], indices)
        assert np.array_equal(some[:2], got)

    @pytest.mark.parametrize("codec", ["jpeg", "webp"])
    def test_lossy(self, some, codec):
        """Lossy golden bytes decode to within four grey levels of the original on average."""
        indices, got = patches.decode((GOLDEN / f"patches-v1-{codec}.bin").read_bytes(), GRID, 16)

        assert np.array_equal(SOME, indices)
        assert np.abs(got.astype(int) - some).mean() < 4

    def test_raw_encoder_writes_the_golden_bytes(self, some):
        """The header, the bitmap and the checksum have not moved."""
        written = patches.encode(np.ascontiguousarray(some[:2]), SOME[:2], GRID, "raw")

        assert (GOLDEN / "patches-v1-raw.bin").read_bytes() == written


class TestArguments:
    """Wrong arguments are named."""

    def test_wrong_dtype(self, some):
        """A wrong dtype is named with its shape."""
        with pytest.raises(ArgumentError, match=r"patches: int64\[8, 16, 16, 3\]"):
            patches.encode(some.astype(np.int64), SOME, GRID)

    def test_indices_of_other_length(self, some):
        """Patches and indices must pair up."""
        with pytest.raises(ArgumentError, match="indices: 7 for 8 patches"):
            patches.encode(some, SOME[:7], GRID)

    def test_no_patch(self, some):
        """An empty payload cannot be written."""
        with pytest.raises(ArgumentError, match="at least one"):
            patches.encode(some[:0], SOME[:0], GRID)

    def test_descending_indices(self, some):
        """Indices must ascend, as the bitmap has no order."""
        with pytest.raises(ArgumentError, match="indices"):
            patches.encode(some, SOME[::-1].copy(), GRID)

    def test_unknown_codec(self, some):
        """The codecs that exist are listed."""
        with pytest.raises(ArgumentError, match="'heif' is unknown, use one of raw, jpeg, webp"):
            patches.encode(some, SOME, GRID, "heif")

    def test_quality_out_of_range(self, some):
        """Quality is 1..100."""
        with pytest.raises(ArgumentError, match="quality: 0"):
            patches.encode(some, SOME, GRID, "jpeg", 0)

    def test_row_too_wide_for_webp(self):
        """WebP ends at 16383 pixels; the line says which codec goes further."""
        indices = np.arange(1024, dtype=np.uint16)

        with pytest.raises(ArgumentError, match="1024 of 16 pixels are wider than the 16383"):
            patches.encode(np.zeros((1024, 16, 16, 3), np.uint8), indices, (32, 32), "webp")


class TestMalformed:
    """Bytes that are no payload."""

    def test_half_written_header(self, payload):
        """Bytes that end inside the header are refused."""
        with pytest.raises(PayloadError, match="11 bytes end inside the header of 12"):
            patches.decode(payload[:11], GRID, 16)

    def test_half_written_bitmap(self, payload):
        """Bytes that end inside the bitmap are refused."""
        with pytest.raises(PayloadError, match="30 bytes end inside the bitmap, which ends at byte 37"):
            patches.decode(payload[:30], GRID, 16)

    def test_half_written_body(self, payload):
        """A cut body does not pass the checksum."""
        with pytest.raises(PayloadError, match="checksum"):
            patches.decode(payload[:-1], GRID, 16)

    def test_foreign_magic(self, payload):
        """Another format is recognised as such."""
        with pytest.raises(PayloadError, match="start with 8950, expected 4550"):
            patches.decode(b"\x89P" + payload[2:], GRID, 16)

    def test_future_version(self, payload):
        """A later format says which versions are read."""
        with pytest.raises(PayloadError, match="version 2 is unknown"):
            patches.decode(payload[:2] + b"\x02" + payload[3:], GRID, 16)

    def test_unknown_codec_id(self, payload):
        """A codec id beyond the table is refused."""
        with pytest.raises(PayloadError, match="codec 3 is unknown"):
            patches.decode(payload[:3] + b"\x03" + payload[4:], GRID, 16)

    def test_other_grid(self, payload):
        """A payload of another frame is refused before anything is allocated for it."""
        with pytest.raises(PayloadError, match="grid 14 × 14 of 16 pixels, expected 24 × 24 of 16"):
            patches.decode(payload, (24, 24), 16)

    def test_padding_bit_set(self, payload):
        """A bit beyond the last patch is an error, not a patch."""
        broken = bytearray(payload)
        broken[36] |= 0x10

        with pytest.raises(PayloadError, match="beyond patch 195"):
            patches.decode(resealed(broken), GRID, 16)

    def test_empty_bitmap(self, payload):
        """A payload without patches is refused."""
        with pytest.raises(PayloadError, match="bitmap is empty"):
            patches.decode(resealed(payload[:12] + bytes(25)), GRID, 16)

    def test_raw_body_of_other_length(self, payload):
        """A raw body must hold exactly the patches of the bitmap."""
        with pytest.raises(PayloadError, match="raw body of 6145 bytes, 8 patches have 6144"):
            patches.decode(resealed(payload + b"\0"), GRID, 16)

    def test_flipped_bit(self, payload):
        """Any damaged byte of the body is noticed."""
        broken = bytearray(payload)
        broken[-1] ^= 1

        with pytest.raises(PayloadError, match="send it again"):
            patches.decode(bytes(broken), GRID, 16)

    def test_webp_of_other_size(self, some):
        """A WebP body may not disagree with the bitmap."""
        broken = bytearray(patches.encode(some, SOME, GRID, "webp"))
        broken[12] |= 0x04

        with pytest.raises(PayloadError, match="128 × 16, expected 144 × 16"):
            patches.decode(resealed(broken), GRID, 16)


class TestProperties:
    """Whatever the bytes."""

    @given(data=st.binary(max_size=200))
    def test_any_bytes(self, data):
        """Random bytes raise PayloadError, nothing else."""
        with pytest.raises(PayloadError):
            patches.decode(data, GRID, 16)

    @given(
        codec=st.sampled_from(["raw", "jpeg", "webp"]),
        at=st.integers(0, 10_000),
        value=st.integers(0, 255),
        cut=st.integers(0, 100),
    )
    def test_any_changed_byte_under_a_fitting_checksum(self, some, codec, at, value, cut):
        """A changed or cut payload whose checksum fits decodes or raises PayloadError, nothing else."""
        data = bytearray(patches.encode(some, SOME, GRID, codec))
        data[at % len(data)] = value
        try:
            indices, got = patches.decode(resealed(data[: len(data) - cut]), GRID, 16)
        except PayloadError:
            return
        assert (len(indices), 16, 16, 3) == got.shape
