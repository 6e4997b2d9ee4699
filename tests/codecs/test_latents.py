"""Tests of edge_runtime.codecs.latents."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.codecs import latents
from edge_runtime.codecs.latent_tables import make_tables
from edge_runtime.codecs.latents import LatentCodec, LatentHeader
from edge_runtime.errors import ArgumentError, PayloadError

GOLDEN = Path(__file__).parent / "golden"
SHAPE = (5, 9, 8)
LEVELS = (2, 3, 4, 6, 8, 12, 16)
ENCODERS = 2
# Encoders and levels of the golden payloads; one of them is packed.
MODES = [(1, 2), (2, 2), (1, 3), (2, 6), (2, 16)]


def golden_tables() -> bytes:
    """What the golden tables were made by: a slope of shares for one encoder, a peak in the middle for two."""
    steps = np.float32([[3.2 / levels * (1 + channel / 4) for channel in range(SHAPE[0])] for levels in LEVELS])
    counts = np.zeros((ENCODERS, len(LEVELS), SHAPE[0], 16), np.int64)
    for at, levels in enumerate(LEVELS):
        symbol = np.arange(levels)
        counts[0, at, :, :levels] = 1 + symbol
        counts[1, at, :, :levels] = 1000 // (1 + (2 * symbol - levels + 1) ** 2)
    return make_tables(SHAPE, LEVELS, steps, counts)


def golden_latent() -> np.ndarray:
    """A wave, made of whole numbers so that it is the same everywhere."""
    at = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    return ((at * at % 97 - 48) * (at % 11 > 2) / 32).astype(np.float32)


@pytest.fixture(scope="module")
def codec() -> LatentCodec:
    """The codec of the golden tables."""
    return LatentCodec.load((GOLDEN / "latent-v1.tables").read_bytes())


@pytest.fixture(scope="module")
def latent() -> np.ndarray:
    """The golden latent."""
    return golden_latent()


class TestGolden:
    """The bytes of version 1 stay what they are."""

    def test_tables(self):
        """Counts give the committed shares."""
        assert golden_tables() == (GOLDEN / "latent-v1.tables").read_bytes()

    @pytest.mark.parametrize(("encoders", "levels"), MODES)
    @pytest.mark.parametrize("backend", ["reference", "jit", "native"])
    def test_bytes_and_values(self, latent, backend, encoders, levels):
        """Every backend writes the committed bytes and reads the committed values."""
        payload = (GOLDEN / f"latent-v1-{encoders}-{levels}.bin").read_bytes()
        try:
            chosen = kernels.use(backend)
        except ArgumentError:
            pytest.skip(f"{backend} cannot be loaded here")
        with chosen, np.load(GOLDEN / "latent-v1.npz") as values:
            codec = LatentCodec.load((GOLDEN / "latent-v1.tables").read_bytes())
            assert payload == codec.encode(latent, encoders, levels)
            assert values[f"{encoders}-{levels}"].tobytes() == codec.decode(payload).tobytes()

    def test_both_codings_are_there(self):
        """Or these bytes would hold only half of the format."""
        codings = {(GOLDEN / f"latent-v1-{n}-{levels}.bin").read_bytes()[1] for n, levels in MODES}
        assert codings == {latents.PACKED, latents.RANS}


class TestModes:
    """Encoders and levels."""

    def test_are_those_of_the_tables(self, codec):
        """With the shape."""
        assert (codec.shape, codec.levels, codec.encoders) == (SHAPE, LEVELS, ENCODERS)

    @pytest.mark.parametrize("encoders", [1, 2])
    @pytest.mark.parametrize("levels", LEVELS)
    def test_travel_in_the_header(self, codec, latent, encoders, levels):
        """And no payload is larger than a packed one."""
        data = codec.encode(latent, encoders, levels)

        header = latents.read_header(data)
        assert (header.encoders, header.levels, header.tables) == (encoders, levels, codec.tables.identity)
        assert len(data) <= codec.packed_bytes(levels)
        assert (len(data) < codec.packed_bytes(levels)) == (header.coding == latents.RANS)

    @pytest.mark.parametrize("levels", LEVELS)
    def test_a_value_within_range_is_off_by_half_a_step(self, codec, latent, levels):
        """At any number of levels."""
        step = codec.tables.plan(1, levels).step[:, None, None]
        inside = np.abs(latent) <= levels / 2 * step

        error = np.abs(codec.decode(codec.encode(latent, 1, levels)) - latent)

        assert inside.any()
        assert (error <= 0.50001 * step)[inside].all()

    @pytest.mark.parametrize(("levels", "bits"), [*zip(LEVELS, [1, 2, 2, 3, 3, 4, 4], strict=True)])
    def test_packed_sizes(self, codec, levels, bits):
        """A header of eight bytes, then whole bits."""
        assert codec.packed_bytes(levels) == 8 + np.prod(SHAPE) * bits / 8

    def test_many_threads(self, codec, latent):
        """Share a codec, its coders made as they come."""
        modes = [(encoders, levels) for encoders in (1, 2) for levels in LEVELS]
        expected = {mode: codec.encode(latent, *mode) for mode in modes}
        fresh = LatentCodec(codec.tables)

        def comes_back(mode):
            return fresh.encode(fresh.decode(expected[mode]), *mode) == expected[mode]

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(comes_back, modes * 20))

    def test_decodes_in_place(self, codec, latent):
        """The array that was given is the one that comes back."""
        out = np.empty(SHAPE, np.float32)
        assert out is codec.decode(codec.encode(latent, 1, 8), out)
        assert np.array_equal(out, codec.decode(codec.encode(latent, 1, 8)))

    @pytest.mark.parametrize(
        ("encoders", "levels", "said"),
        [
            (0, 2, r"encoders: 0 is outside 1\.\.2"),
            (3, 2, r"encoders: 3 is outside 1\.\.2"),
            (1, 17, r"levels: 17 is outside 2\.\.16"),
            (1, 6.0, "levels: got 6.0, pass an integer"),
            (1, 5, "levels: 5 are not in the tables, use one of 2, 3, 4, 6, 8, 12, 16"),
        ],
    )
    def test_that_the_tables_lack(self, codec, latent, encoders, levels, said):
        """Are refused by name."""
        with pytest.raises(ArgumentError, match=f"^{said}"):
            codec.encode(latent, encoders, levels)

    def test_a_size_that_the_tables_lack(self, codec):
        """The same."""
        with pytest.raises(ArgumentError, match=r"^levels: 5 are not in the tables"):
            codec.packed_bytes(5)

    def test_values_that_are_no_numbers(self, codec, latent):
        """Are named with their place."""
        broken = latent.copy()
        broken[1, 2, 3] = np.nan
        with pytest.raises(ArgumentError, match=r"^latent: nan at \[1, 2, 3\] is not finite"):
            codec.encode(broken, 1, 4)


class TestInspect:
    """What a header says."""

    def test_by_name(self, codec, latent):
        """Without any tables."""
        data = codec.encode(latent, 2, 12)
        assert latents.inspect(data) == {
            "coding": "rans",
            "version": 1,
            "bytes": len(data),
            "encoders": 2,
            "levels": 12,
            "tables": f"{codec.tables.identity:08x}",
        }

    def test_as_a_tuple(self):
        """For programs."""
        assert latents.read_header(b"\x01\x00\x03\x08\x04\x03\x02\x01") == LatentHeader(0, 3, 8, 0x01020304)


class TestRefusals:
    """Bytes that are no payload."""

    @pytest.mark.parametrize(
        ("at", "value", "said"),
        [
            (slice(7, None), b"", "7 bytes end inside the header of 8"),
            (slice(0, 1), b"\x02", "format version 2 is unknown, this decoder reads 1"),
            (slice(1, 2), b"\x02", r"coding 2 is unknown, this decoder reads 0\.\.1"),
            (slice(1, 2), b"\x00", r"\d+ bytes of packed symbols, expected 135$"),
            (slice(2, 3), b"\x00", r"0 encoders, the tables have 1\.\.2"),
            (slice(2, 3), b"\x03", r"3 encoders, the tables have 1\.\.2"),
            (slice(3, 4), b"\x05", "5 levels, the tables have 2, 3, 4, 6, 8, 12, 16"),
            (slice(8, None), bytes(135), "135 bytes of rans symbols, expected less than 135"),
            (slice(8, None), b"", "0 bytes are no latent of these tables"),
            (slice(8, None), bytes(20), "20 bytes are no latent of these tables"),
        ],
    )
    def test_headers(self, codec, latent, at, value, said):
        """Each field is checked, with its own sentence."""
        broken = bytearray(codec.encode(latent, 2, 6))
        assert broken[1] == latents.RANS
        broken[at] = value
        with pytest.raises(PayloadError, match=f"^latent: {said}"):
            codec.decode(bytes(broken))

    def test_other_tables(self, codec, latent):
        """A payload of tables that differ in anything is refused."""
        steps = np.full((len(LEVELS), SHAPE[0]), 2, np.float32)
        other = LatentCodec.load(make_tables(SHAPE, LEVELS, steps, np.zeros((2, len(LEVELS), SHAPE[0], 16), np.int64)))
        mine, theirs = (f"{one.tables.identity:08x}" for one in (codec, other))
        with pytest.raises(PayloadError, match=f"^latent: made with tables {mine}, these are {theirs}"):
            other.decode(codec.encode(latent, 1, 4))

    def test_the_identity_is_the_checksum_of_the_file(self, codec):
        """As the format's page says."""
        assert codec.tables.identity == zlib.crc32((GOLDEN / "latent-v1.tables").read_bytes())

    @given(data=st.binary(max_size=200), start=st.sampled_from([0, 1, 8]))
    def test_any_bytes(self, codec, latent, data, start):
        """Decode to the shape or raise PayloadError, nothing else, behind a right beginning too."""
        try:
            decoded = codec.decode(codec.encode(latent, 2, 6)[:start] + data)
        except PayloadError:
            return
        assert decoded.shape == SHAPE

    @settings(deadline=None, max_examples=300)
    @given(
        mode=st.sampled_from(MODES),
        at=st.lists(st.integers(0, 10_000), max_size=3),
        value=st.integers(1, 255),
        cut=st.integers(0, 3),
    )
    def test_changed_payloads(self, codec, mode, at, value, cut):
        """Decode to the shape or raise PayloadError, and what decodes is all of its latent's bytes."""
        data = bytearray((GOLDEN / f"latent-v1-{mode[0]}-{mode[1]}.bin").read_bytes())
        for place in at:
            data[place % len(data)] ^= value
        payload = bytes(data[: len(data) - cut])
        try:
            decoded = codec.decode(payload)
        except PayloadError:
            return
        header = latents.read_header(payload)
        again = codec.encode(decoded, header.encoders, header.levels)
        assert again == payload if again[1] == header.coding else header.coding == latents.PACKED
