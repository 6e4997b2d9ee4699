"""Tests of edge_runtime.codecs.samples."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.codecs import samples
from edge_runtime.errors import ArgumentError, PayloadError

GOLDEN = Path(__file__).parent / "golden"
GRID = (14, 14)
SEED = 0xDEADBEEF


def sampled(picture: np.ndarray, pattern: kernels.Pattern, k: int, seed: int = SEED) -> np.ndarray:
    """The patches of a picture, uint8[k, 16, 16, 3]."""
    return kernels.gather(picture, kernels.sample(pattern, GRID, k, seed), 16)


@pytest.fixture(scope="session")
def payload(picture: np.ndarray) -> bytes:
    """Eight patches as a raw payload."""
    return samples.encode(sampled(picture, "jittered-grid", 8), GRID, "jittered-grid", SEED, "raw")


def resealed(data: bytes | bytearray) -> bytes:
    """The same payload with a checksum that fits, so that a test reaches what lies behind the check."""
    return bytes(data[:15]) + zlib.crc32(bytes(data[:15] + data[19:])).to_bytes(4, "little") + bytes(data[19:])


class TestRoundTrip:
    """What goes in comes out."""

    @given(
        pattern=st.sampled_from(kernels.PATTERNS),
        rows=st.integers(1, 20),
        columns=st.integers(1, 20),
        seed=st.integers(0, 2**32 - 1),
        data=st.data(),
    )
    def test_raw_gives_back_every_byte(self, pattern, rows, columns, seed, data):
        """The receiver draws the indices for itself, for any grid and seed."""
        indices = kernels.sample(pattern, (rows, columns), data.draw(st.integers(1, rows * columns)), seed)
        sent = np.random.default_rng(seed).integers(0, 256, (len(indices), 3, 3, 3), np.uint8)

        back, got = samples.decode(samples.encode(sent, (rows, columns), pattern, seed, "raw"), (rows, columns), 3)

        assert np.array_equal(indices, back)
        assert np.array_equal(sent, got)

    @pytest.mark.parametrize("codec", ["jpeg", "webp"])
    @pytest.mark.parametrize("pattern", kernels.PATTERNS)
    def test_lossy_patches_stay_close(self, picture, codec, pattern):
        """At quality 90 the mean error is below four grey levels though patches meet foreign neighbours."""
        sent = sampled(picture, pattern, 49)

        back, got = samples.decode(samples.encode(sent, GRID, pattern, SEED, codec, 90), GRID, 16)

        assert np.array_equal(kernels.sample(pattern, GRID, 49, SEED), back)
        assert np.abs(got.astype(int) - sent).mean() < 4

    def test_raw_size_is_exact(self, payload):
        """Raw costs 19 bytes of header and 768 per patch: no index travels."""
        assert len(payload) == 19 + 8 * 768


class TestGolden:
    """Bytes of format version 1, decoded for ever."""

    def test_raw(self, picture):
        """Raw golden bytes decode exactly, and the encoder still writes them."""
        golden = (GOLDEN / "samples-v1-raw.bin").read_bytes()
        sent = sampled(picture, "jittered-grid", 2)

        indices, got = samples.decode(golden, GRID, 16)

        assert indices.tolist() == [2, 135]
        assert np.array_equal(sent, got)
        assert samples.encode(sent, GRID, "jittered-grid", SEED, "raw") == golden

    @pytest.mark.parametrize("codec", ["jpeg", "webp"])
    def test_lossy(self, picture, codec):
        """Lossy golden bytes decode to within four grey levels of the original on average."""
        indices, got = samples.decode((GOLDEN / f"samples-v1-{codec}.bin").read_bytes(), GRID, 16)

        assert np.array_equal(kernels.sample("grid", GRID, 12, SEED), indices)
        assert np.abs(got.astype(int) - sampled(picture, "grid", 12)).mean() < 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"grid": (2, 3)}, "patches: 8 of a frame that has 2 × 3"),
        ({"grid": (256, 14)}, "grid: 256 × 14 patches"),
        ({"pattern": "spiral"}, "pattern: 'spiral' is unknown, use one of random, grid, jittered-grid"),
        ({"seed": 2**32}, "seed: 4294967296 is outside 0..4294967295"),
        ({"codec": "heif"}, "codec: 'heif' is unknown"),
    ],
)
def test_wrong_arguments_are_named(picture, changed, message):
    """With what is right."""
    arguments = {"grid": GRID, "pattern": "grid", "seed": 1} | changed
    with pytest.raises(ArgumentError) as error:
        samples.encode(sampled(picture, "grid", 8), **arguments)

    assert str(error.value).startswith(message)


class TestMalformed:
    """Bytes that are no payload."""

    @pytest.mark.parametrize(
        ("at", "value", "message"),
        [
            (5, 15, "samples: grid 15 × 14 of 16 pixels, expected 14 × 14 of 16"),
            (8, 3, "samples: pattern 3 is unknown, this decoder reads 0..2"),
            (13, 0, "samples: 0 patches of a frame that has 14 × 14, send at least one"),
            (13, 197, "samples: 197 patches of a frame that has 14 × 14"),
            (13, 9, "patches: raw body of 6144 bytes, 9 patches have 6912"),
        ],
    )
    def test_a_wrong_field(self, payload, at, value, message):
        """Under a checksum that fits."""
        broken = bytearray(payload)
        broken[at] = value
        with pytest.raises(PayloadError) as error:
            samples.decode(resealed(broken), GRID, 16)

        assert str(error.value).startswith(message)

    def test_flipped_seed(self, payload):
        """Other indices would go unnoticed: the checksum covers the seed."""
        broken = bytearray(payload)
        broken[9] ^= 1

        with pytest.raises(PayloadError, match=r"^samples: checksum"):
            samples.decode(bytes(broken), GRID, 16)


class TestProperties:
    """Whatever the bytes."""

    @given(data=st.binary(max_size=200))
    def test_any_bytes(self, data):
        """Random bytes raise PayloadError, nothing else."""
        with pytest.raises(PayloadError):
            samples.decode(data, GRID, 16)

    @given(
        codec=st.sampled_from(["raw", "jpeg", "webp"]),
        at=st.one_of(st.integers(0, 18), st.integers(0, 10_000)),
        value=st.integers(0, 255),
        cut=st.integers(0, 100),
    )
    def test_any_changed_byte_under_a_fitting_checksum(self, picture, codec, at, value, cut):
        """A changed or cut payload whose checksum fits decodes or raises PayloadError, nothing else."""
        data = bytearray(samples.encode(sampled(picture, "grid", 8), GRID, "grid", SEED, codec))
        data[at % len(data)] = value
        try:
            indices, got = samples.decode(resealed(data[: len(data) - cut]), GRID, 16)
        except PayloadError:
            return
        assert (len(indices), 16, 16, 3) == got.shape
