"""Tests of edge_runtime.codecs.requested."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.codecs import requested
from edge_runtime.errors import ArgumentError, PayloadError

GOLDEN = Path(__file__).parent / "golden"
SESSION = bytes(range(16))
ASKED = np.array([0, 1, 5, 17, 100, 101, 102, 195], np.uint16)


@pytest.fixture(scope="session")
def asked(picture: np.ndarray) -> np.ndarray:
    """Eight patches, uint8[8, 16, 16, 3]."""
    return kernels.gather(picture, ASKED, 16)


@pytest.fixture(scope="session")
def payload(asked: np.ndarray) -> bytes:
    """The same as a raw payload."""
    return requested.encode(SESSION, asked, "raw")


def resealed(data: bytes | bytearray) -> bytes:
    """The same payload with a checksum that fits, so that a test reaches what lies behind the check."""
    return bytes(data[:24]) + zlib.crc32(bytes(data[:24] + data[28:])).to_bytes(4, "little") + bytes(data[28:])


class TestRoundTrip:
    """What goes in comes out."""

    @given(session=st.binary(min_size=16, max_size=16), k=st.integers(1, 30), side=st.integers(1, 20))
    def test_raw_gives_back_every_byte(self, session, k, side):
        """The session and the patches, in their order."""
        sent = np.random.default_rng(k).integers(0, 256, (k, side, side, 3), np.uint8)

        data = requested.encode(session, sent, "raw")

        assert requested.session_of(data) == session
        assert np.array_equal(sent, requested.decode(data, k, side))

    @pytest.mark.parametrize("codec", ["jpeg", "webp"])
    def test_lossy_patches_stay_close(self, asked, codec):
        """At quality 90 the mean error is below four grey levels though patches meet foreign neighbours."""
        got = requested.decode(requested.encode(SESSION, asked, codec, 90), 8, 16)

        assert np.abs(got.astype(int) - asked).mean() < 4

    def test_raw_size_is_exact(self, payload):
        """Raw costs 28 bytes of header and 768 per patch."""
        assert len(payload) == 28 + 8 * 768


class TestGolden:
    """Bytes of format version 1, decoded for ever."""

    def test_raw(self, asked):
        """Raw golden bytes decode exactly, and the encoder still writes them."""
        golden = (GOLDEN / "requested-v1-raw.bin").read_bytes()

        assert requested.session_of(golden) == SESSION
        assert np.array_equal(asked[:2], requested.decode(golden, 2, 16))
        assert requested.encode(SESSION, asked[:2], "raw") == golden

    @pytest.mark.parametrize("codec", ["jpeg", "webp"])
    def test_lossy(self, asked, codec):
        """Lossy golden bytes decode to within four grey levels of the original on average."""
        got = requested.decode((GOLDEN / f"requested-v1-{codec}.bin").read_bytes(), 8, 16)

        assert np.abs(got.astype(int) - asked).mean() < 4


@pytest.mark.parametrize("session", [b"", bytes(15), bytes(17)])
def test_a_session_of_another_length_is_refused(asked, session):
    """It has 16 bytes."""
    with pytest.raises(ArgumentError, match=f"^session: {len(session)} bytes, the server gave 16$"):
        requested.encode(session, asked)


class TestMalformed:
    """Bytes that are no payload, or another's."""

    @pytest.mark.parametrize(("k", "patch"), [(7, 16), (8, 32)])
    def test_other_patches_than_were_asked_for(self, payload, k, patch):
        """Refused before the body is looked at."""
        with pytest.raises(PayloadError, match=f"^requested: 8 patches of 16 pixels, asked for {k} of {patch}$"):
            requested.decode(payload, k, patch)

    def test_flipped_session(self, payload):
        """No other session is looked up for it."""
        broken = bytearray(payload)
        broken[8] ^= 1

        with pytest.raises(PayloadError, match=r"^requested: checksum"):
            requested.session_of(bytes(broken))

    def test_raw_body_of_other_length(self, payload):
        """A raw body must hold exactly the patches."""
        with pytest.raises(PayloadError, match="raw body of 6145 bytes, 8 patches have 6144"):
            requested.decode(resealed(payload + b"\0"), 8, 16)


class TestProperties:
    """Whatever the bytes."""

    @given(data=st.binary(max_size=200))
    def test_any_bytes(self, data):
        """Random bytes raise PayloadError, nothing else."""
        with pytest.raises(PayloadError):
            requested.session_of(data)
        with pytest.raises(PayloadError):
            requested.decode(data, 8, 16)

    @given(
        codec=st.sampled_from(["raw", "jpeg", "webp"]),
        at=st.one_of(st.integers(0, 27), st.integers(0, 10_000)),
        value=st.integers(0, 255),
        cut=st.integers(0, 100),
    )
    def test_any_changed_byte_under_a_fitting_checksum(self, asked, codec, at, value, cut):
        """A changed or cut payload whose checksum fits decodes or raises PayloadError, nothing else."""
        data = bytearray(requested.encode(SESSION, asked, codec))
        data[at % len(data)] = value
        data = resealed(data[: len(data) - cut])
        try:
            assert len(requested.session_of(data)) == 16
            assert requested.decode(data, 8, 16).shape == (8, 16, 16, 3)
        except PayloadError:
            return
