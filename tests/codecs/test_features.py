"""Tests of edge_runtime.codecs.features."""

from __future__ import annotations

import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.codecs import features
from edge_runtime.codecs.features import FeatureCodec
from edge_runtime.errors import ArgumentError, PayloadError

GOLDEN = Path(__file__).parent / "golden"
ENCODERS = {
    "ff-q0": lambda codec, x: codec.encode(x, 0),
    "ff-q40": lambda codec, x: codec.encode(x, 40),
    "ff-q95": lambda codec, x: codec.encode(x, 95),
    "ff-q40-bound": lambda codec, x: codec.encode(x, 40, bound=0.25),
    "half": lambda _, x: features.encode_half(x),
    "uniform-4": lambda _, x: features.encode_uniform(x, 4),
    "uniform-8": lambda _, x: features.encode_uniform(x, 8),
    "sparse-6": lambda _, x: features.encode_sparse(x, 6),
}


@pytest.fixture(scope="module")
def codec(tables: bytes) -> FeatureCodec:
    """The codec of the golden tables."""
    return FeatureCodec.load(tables)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """The golden map, and what each golden payload decodes to."""
    with np.load(GOLDEN / "features-v1.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def clean(golden: dict[str, np.ndarray]) -> np.ndarray:
    """The golden map, float32[5, 14, 14], rectified."""
    return golden["map"]


def resealed(codec: FeatureCodec, data: bytes | bytearray) -> bytes:
    """The same payload with a checksum that fits, so that a test reaches what lies behind the check."""
    start = codec.tables.identity if data[3] == features.FF else 0
    checksum = zlib.crc32(bytes(data[8:]), zlib.crc32(bytes(data[:4]), start))
    return bytes(data[:4]) + checksum.to_bytes(4, "little") + bytes(data[8:])


def error(actual: np.ndarray, wanted: np.ndarray) -> float:
    """The largest, exactly."""
    return float(np.abs(actual.astype(np.float64) - wanted).max())


class TestGolden:
    """The bytes of version 1 stay what they are."""

    @pytest.mark.parametrize("name", ENCODERS)
    @pytest.mark.parametrize("backend", ["reference", "jit", "native"])
    def test_bytes_and_values(self, tables, golden, backend, name):
        """Every backend writes the committed bytes and reads the committed values."""
        payload = (GOLDEN / f"features-v1-{name}.bin").read_bytes()
        try:
            chosen = kernels.use(backend)
        except ArgumentError:
            pytest.skip(f"{backend} cannot be loaded here")
        with chosen:
            codec = FeatureCodec.load(tables)
            assert payload == ENCODERS[name](codec, golden["map"])
            assert golden[name].tobytes() == codec.decode(payload).tobytes()


class TestQuality:
    """What a quality means."""

    def test_finer_is_larger_and_closer(self, codec, clean):
        """From quality to quality the payload grows and the error falls."""
        payloads = [codec.encode(clean, quality) for quality in range(0, 101, 20)]
        errors = [np.square(codec.decode(data) - clean).mean() for data in payloads]

        assert sorted(map(len, payloads)) == list(map(len, payloads))
        assert sorted(errors, reverse=True) == errors

    def test_a_header_of_nine_bytes(self, codec, clean):
        """Before the 16 bytes of the coder's states: a map of almost nothing weighs little more."""
        assert len(codec.encode(clean, 0)) < 32

    def test_rectified_maps_stay_so(self, codec, clean):
        """No value is below zero."""
        assert codec.decode(codec.encode(clean, 10)).min() >= 0

    def test_decodes_in_place(self, codec, clean):
        """The array that was given is the one that comes back."""
        out = np.empty_like(clean)
        assert out is codec.decode(codec.encode(clean, 60), out)
        assert np.array_equal(out, codec.decode(codec.encode(clean, 60)))

    @pytest.mark.parametrize("quality", [-1, 101, 50.0])
    def test_qualities_outside(self, codec, clean, quality):
        """0..100, whole."""
        with pytest.raises(ArgumentError, match=r"^quality: "):
            codec.encode(clean, quality)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_no_numbers(self, codec, clean, value):
        """Are named with their place."""
        broken = clean.copy()
        broken[1, 2, 3] = value
        with pytest.raises(ArgumentError, match=rf"^features: {value} at \[1, 2, 3\] is not finite"):
            codec.encode(broken, 50)

    def test_many_threads(self, codec, clean):
        """Each has buffers of its own."""
        expected = [codec.encode(clean, quality) for quality in range(101)]
        found: dict[int, bytes] = {}

        def work(start):
            for quality in range(start, 101, 4):
                codec.decode(codec.encode(clean, 100 - quality))
                found[quality] = codec.encode(clean, quality)

        threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert expected == [found[quality] for quality in range(101)]


class TestBudget:
    """Rate control."""

    @settings(deadline=None, max_examples=60)
    @given(budget=st.integers(0, 1200), size=st.floats(0.1, 30))
    def test_is_kept_and_used(self, codec, clean, budget, size):
        """No payload is above its budget unless quality 0 is, and no much finer quality would have fitted."""
        scaled = clean * np.float32(size)
        data = codec.encode_within(scaled, budget)

        chosen = data[8]
        assert len(data) <= budget or chosen == 0
        finer = codec.encode(scaled, min(chosen + 12, 100))
        assert chosen > 88 or len(finer) > budget or len(finer) < len(data) + 8

    def test_a_budget_without_end_gives_the_finest(self, codec, clean):
        """Whatever the map."""
        assert codec.encode_within(clean, 2**31 - 1)[8] == 100

    def test_quality_for(self, codec):
        """Rises with the budget, from 0."""
        qualities = [codec.quality_for(budget) for budget in range(0, 1000, 10)]
        assert qualities == sorted(qualities)
        assert (qualities[0], qualities[-1]) == (0, 100)

    def test_less_than_nothing(self, codec, clean):
        """Is no budget."""
        with pytest.raises(ArgumentError, match=r"^budget: -1 is outside"):
            codec.encode_within(clean, -1)


class TestBound:
    """No value further off than the bound."""

    @settings(deadline=None, max_examples=80)
    @given(
        quality=st.integers(0, 100),
        bound=st.floats(-9, 9),
        wild=st.floats(0, 1),
        widest=st.floats(0, 30),
        seed=st.integers(0, 2**32),
    )
    def test_holds_for_every_value(self, codec, clean, quality, bound, wild, widest, seed):
        """Exactly, for maps like those calibrated on and for values of any size among them."""
        rng = np.random.default_rng(seed)
        large = rng.choice([-1, 1], clean.shape) * 10 ** rng.uniform(-widest, widest, clean.shape)
        mixed = np.where(rng.random(clean.shape) < wild, large, clean).astype(np.float32)

        data = codec.encode(mixed, quality, bound=10**bound)

        assert error(codec.decode(data), mixed) <= 10**bound

    def test_costs_little_where_it_holds_anyway(self, codec, clean):
        """A map that is within the bound already carries an empty map of residuals."""
        assert len(codec.encode(clean, 95, bound=100)) < len(codec.encode(clean, 95)) + 40

    @pytest.mark.parametrize("bound", [0.0, -1.0, np.nan, np.inf, 1e-60])
    def test_bounds_that_are_none(self, codec, clean, bound):
        """Zero, negative, not finite, or below float32."""
        with pytest.raises(ArgumentError, match=r"^bound: .* is no positive float32"):
            codec.encode(clean, 50, bound=bound)


class TestPlain:
    """The methods without tables."""

    def test_half_is_float16(self, clean):
        """Bit for bit."""
        data = features.encode_half(clean)
        assert np.array_equal(features.decode(data, clean.shape), clean.astype(np.float16).astype(np.float32))
        assert len(data) == 15 + 2 * clean.size

    @pytest.mark.parametrize("value", [65520.0, -1e30, np.nan])
    def test_half_refuses_what_it_cannot_hold(self, clean, value):
        """With the value."""
        broken = clean.copy()
        broken[0, 0, 0] = value
        with pytest.raises(ArgumentError, match=r"^features: .* is not within float16"):
            features.encode_half(broken)

    def test_encoders_of_one_size_write_what_the_functions_do(self, clean):
        """At any quality and within any budget."""
        half, uniform = features.HalfEncoder(clean.shape), features.UniformEncoder(clean.shape, 8)
        assert half.shape == uniform.shape == clean.shape
        for encoder, wanted in ((half, features.encode_half(clean)), (uniform, features.encode_uniform(clean, 8))):
            assert encoder.encode(clean, 0) == encoder.encode(clean, 100) == wanted
            assert encoder.encode_within(clean, 1) == wanted

    def test_a_uniform_encoder_has_bits(self, clean):
        """Their number is checked before there is anything to encode."""
        with pytest.raises(ArgumentError, match="bits"):
            features.UniformEncoder(clean.shape, 13)

    @pytest.mark.parametrize("bits", range(1, 13))
    def test_uniform_is_off_by_half_a_step(self, clean, bits):
        """At any number of bits; its least value is exact."""
        decoded = features.decode(features.encode_uniform(clean, bits), clean.shape)
        levels = 2**bits if bits < 5 else 31 * 2 ** (bits - 5)
        assert error(decoded, clean) <= (clean.max() - clean.min()) / (levels - 1) * 0.50001
        assert decoded.min() == clean.min()

    @pytest.mark.parametrize("bits", range(1, 13))
    def test_sparse_keeps_zeros(self, clean, bits):
        """Every zero and no more, and the rest as uniform does."""
        decoded = features.decode(features.encode_sparse(clean, bits), clean.shape)
        levels = 2**bits if bits < 5 else 31 * 2 ** (bits - 5)
        assert np.array_equal(decoded == 0, clean == 0)
        assert error(decoded, clean) <= clean.max() / (levels - 1) * 0.50001

    def test_sparse_maps_are_smaller_as_sparse(self, clean):
        """What it is for."""
        assert len(features.encode_sparse(clean, 8)) < len(features.encode_uniform(clean, 8))

    @pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential"])
    def test_equal_steps_beat_logarithmic_ones(self, draw):
        """Why non-zero values have equal steps: at equal entropy the squared error is at least halved."""
        x = np.abs(getattr(np.random.default_rng(0), draw)(20000))

        def entropy_and_error(y, back, count):
            step = (y.max() - y.min()) / (count - 1)
            places = np.rint((y - y.min()) / step).astype(int)
            share = np.bincount(places) / len(places)
            entropy = -(share[share > 0] * np.log2(share[share > 0])).sum()
            return entropy, np.log2(np.square(back(places * step + y.min()) - x).mean())

        counts = 2 ** np.arange(2, 9)
        equal = np.array([entropy_and_error(x, lambda y: y, count) for count in counts]).T
        y = np.log(np.maximum(x, x.max() / 100))
        logarithmic = np.array([entropy_and_error(y, np.exp, count) for count in counts]).T
        at = np.array([2, 3, 4, 5])
        assert (np.interp(at, *logarithmic) - np.interp(at, *equal) > 1).all()

    @pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 5), (4, 2, 2)])
    @pytest.mark.parametrize("value", [0.0, -2.5, 1e38])
    @pytest.mark.parametrize("encode", [features.encode_uniform, features.encode_sparse])
    def test_constant_maps(self, encode, value, shape):
        """Come back exactly."""
        constant = np.full(shape, value, np.float32)
        assert np.array_equal(constant, features.decode(encode(constant, 8), shape))

    @pytest.mark.parametrize("encode", [features.encode_uniform, features.encode_sparse])
    @pytest.mark.parametrize("value", [np.nan, np.inf, 2e38])
    def test_values_beyond_any_step(self, clean, encode, value):
        """Are refused."""
        broken = clean.copy()
        broken[0, 0, 0] = value
        with pytest.raises(ArgumentError, match=r"^features: values from .* pass finite ones within"):
            encode(broken, 8)

    @pytest.mark.parametrize("bits", [0, 13])
    def test_bits_outside(self, clean, bits):
        """1..12."""
        with pytest.raises(ArgumentError, match=rf"^bits: {bits} is outside 1\.\.12"):
            features.encode_uniform(clean, bits)

    def test_ff_needs_its_tables(self, codec, clean):
        """Without them there is nothing to decode it with."""
        with pytest.raises(PayloadError, match="method ff needs the tables of its cut"):
            features.decode(codec.encode(clean, 50), clean.shape)

    def test_another_shape(self, codec, clean):
        """Is refused before anything is allocated for it, by a codec too."""
        data = features.encode_uniform(clean[:2].copy(), 8)
        for attempt in (codec.decode, lambda payload: features.decode(payload, clean.shape)):
            with pytest.raises(PayloadError, match=r"shape \[2, 14, 14\], expected \[5, 14, 14\]"):
                attempt(data)


class TestInspect:
    """What a header says."""

    def test_ff(self, codec, clean):
        """Quality, and a bound where there is one."""
        plain = features.inspect(codec.encode(clean, 70))
        bounded = features.inspect(codec.encode(clean, 70, bound=0.5))

        assert (plain["method"], plain["quality"]) == ("ff", 70)
        assert "bound" not in plain
        assert (bounded["quality"], bounded["bound"]) == (70, 0.5)

    def test_others(self, clean):
        """Bits and shape."""
        facts = features.inspect(features.encode_sparse(clean, 6))
        assert (facts["method"], facts["bits"], facts["shape"]) == ("sparse", 6, [5, 14, 14])

    def test_what_is_not_ours(self):
        """Is refused."""
        with pytest.raises(PayloadError, match="starts with ffd8, a feature payload starts with 4546"):
            features.inspect(b"\xff\xd8" + bytes(20))


class TestRefusals:
    """Bytes that are no payload."""

    @pytest.mark.parametrize(
        ("at", "value", "said"),
        [
            (slice(8, None), b"", "8 bytes are too short, needs at least 9"),
            (slice(3, None), b"", "3 bytes are too short, needs at least 8"),
            (slice(0, 2), b"EP", "starts with 4550"),
            (slice(2, 3), b"\x02", "format version 2 is unknown, this decoder reads 1"),
            (slice(3, 4), b"\x04", r"method 4 is unknown, this decoder reads 0\.\.3"),
            (slice(8, 9), b"\x65", r"quality 101 is outside 0\.\.100"),
            (slice(9, 20), b"", "no stream of these tables"),
            (slice(8, None), b"\xb2" + bytes(8), "a bound of 0.0 is not positive"),
            (slice(8, None), b"\xb2\0\0\x80\x3f\xff\xff\0\0", "17 bytes are too short, needs at least 65552"),
        ],
    )
    def test_headers(self, codec, clean, at, value, said):
        """Each field is checked, with its own sentence."""
        broken = bytearray(codec.encode(clean, 50))
        broken[at] = value
        data = resealed(codec, broken) if len(broken) >= 8 else bytes(broken)
        with pytest.raises(PayloadError, match=f"^features: .*{said}"):
            codec.decode(data)

    def test_other_tables(self, codec, tables, clean):
        """A payload of tables that differ in anything is refused."""
        other = bytearray(tables)
        other[tables.index(b"drift_factor") + 20] ^= 1
        with pytest.raises(PayloadError, match=r"checksum is .*: of other tables or damaged"):
            FeatureCodec.load(bytes(other)).decode(codec.encode(clean, 50))

    @pytest.mark.parametrize("name", ENCODERS)
    def test_any_flipped_bit(self, codec, name):
        """Is noticed, wherever it is."""
        data = (GOLDEN / f"features-v1-{name}.bin").read_bytes()
        for at in range(0, len(data), max(1, len(data) // 97)):
            broken = bytearray(data)
            broken[at] ^= 1 << (at % 8)
            with pytest.raises(PayloadError, match=r"^features: "):
                codec.decode(bytes(broken))

    @given(data=st.binary(max_size=200))
    def test_any_bytes(self, codec, data):
        """Random bytes raise PayloadError, nothing else, with the right beginning too."""
        for start in (b"", b"EF\x01\x00", b"EF\x01\x02"):
            with pytest.raises(PayloadError):
                codec.decode(start + data)

    @settings(deadline=None, max_examples=300)
    @given(
        name=st.sampled_from(sorted(ENCODERS)),
        at=st.lists(st.integers(0, 10_000), max_size=4),
        value=st.integers(1, 255),
        cut=st.integers(0, 40),
        early=st.booleans(),
    )
    def test_any_changed_bytes_under_a_fitting_checksum(self, codec, name, at, value, cut, early):
        """Changed or cut payloads whose checksum fits decode to the shape or raise PayloadError, nothing else."""
        data = bytearray((GOLDEN / f"features-v1-{name}.bin").read_bytes())
        for place in at:
            # Half of the time what says how to read the rest.
            data[4 + place % (40 if early else len(data) - 4) if len(data) > 44 else place % len(data)] ^= value
        try:
            decoded = codec.decode(resealed(codec, data[: max(len(data) - cut, 8)]))
        except PayloadError:
            return
        assert decoded.shape == codec.shape
