"""The latent coder: the same bytes and values on every backend, and nothing but its own bytes accepted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.kernels.interface import Status
from edge_runtime.kernels.latents import SPARE_BYTES
from edge_runtime.kernels.reference_latents import dequantise, pack, quantise

SLOTS = 1024
LARGEST = np.finfo(np.float32).max


def make_plan(seed: int, shape: tuple[int, int, int], levels: int, exponent: int = 0) -> kernels.LatentPlan:
    """Random steps around 2^exponent, and random shares, some of them certain but for the least."""
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    weights = rng.dirichlet(np.full(levels, rng.choice([0.05, 1.0, 20.0])), channels)
    shares = 1 + np.floor(weights * (SLOTS - levels)).astype(int)
    shares[:, 0] += SLOTS - shares.sum(axis=1)
    return kernels.LatentPlan(
        height=height,
        width=width,
        levels=levels,
        step=(rng.uniform(0.5, 1, channels) * 2.0**exponent).astype(np.float32),
        histograms=np.pad(shares, ((0, 0), (0, 32 - levels))).astype(np.uint16),
    )


def make_latent(seed: int, plan: kernels.LatentPlan, spread: float = 1.0) -> np.ndarray:
    """Noise in steps: at a spread of 1 most values have a level of their own, at 0 all are zero."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(plan.shape) * spread * plan.levels / 4
    return (noise * plan.step.astype(np.float64)[:, None, None]).astype(np.float32)


def encode(plan: kernels.LatentPlan, latent: np.ndarray) -> np.ndarray:
    """By the backend in use."""
    coder = kernels.LatentCoder(plan)
    out = np.empty(coder.room, np.uint8)
    return out[: coder.encode(latent, out)].copy()


def decode(plan: kernels.LatentPlan, data: np.ndarray) -> np.ndarray | str:
    """By the backend in use; its sentence where it refuses."""
    try:
        return kernels.LatentCoder(plan).decode(data)
    except PayloadError as error:
        return str(error)


shapes = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))
plans = st.builds(
    make_plan,
    seed=st.integers(0, 2**32),
    shape=shapes,
    levels=st.integers(2, 16),
    exponent=st.sampled_from([0, 0, -119, 120]),
)


@settings(deadline=None, max_examples=100)
@given(plan=plans, seed=st.integers(0, 2**32), spread=st.sampled_from([0.0, 0.3, 1.0, 3.0]))
def test_every_backend_writes_and_reads_the_same(everywhere, plan, seed, spread):
    """Whatever the tables; no more than packed bytes; within its range a value is off by half a step."""
    latent = make_latent(seed, plan, spread)

    data = everywhere(lambda: encode(plan, latent))
    back = everywhere(lambda: decode(plan, data))

    assert len(data) <= plan.packed_bytes
    assert np.array_equal(dequantise(plan, quantise(plan, latent)), back)
    step = plan.step.astype(np.float64)[:, None, None]
    inside = np.abs(latent) <= plan.levels / 2 * step
    assert (np.abs(back.astype(np.float64) - latent) <= (0.5 + 1e-5) * step)[inside].all()


@settings(deadline=None, max_examples=100)
@given(plan=plans, seed=st.integers(0, 2**32))
def test_what_was_decoded_is_encoded_to_the_same_bytes(everywhere, plan, seed):
    """A level's own value is nowhere near the next level."""
    data = encode(plan, make_latent(seed, plan))

    assert np.array_equal(data, everywhere(lambda: encode(plan, decode(plan, data))))


@settings(deadline=None, max_examples=60)
@given(
    plan=plans,
    values=st.lists(
        st.sampled_from([0.0, -0.0, 1e-45, -1e-38, 1e30, -1e30, LARGEST, -LARGEST]), min_size=1, max_size=9
    ),
)
def test_finite_values_have_a_level_however_far_off(everywhere, plan, values):
    """The first or last one, where the product with the reciprocal leaves float32 too."""
    latent = np.resize(np.float32(values), plan.shape)

    data = everywhere(lambda: encode(plan, latent))
    back = everywhere(lambda: decode(plan, data))

    last = (plan.levels - 1) / 2 * plan.step[:, None, None]
    far = np.abs(latent) > plan.levels * plan.step.astype(np.float64)[:, None, None]
    assert np.array_equal(np.where(latent > 0, last, -last)[far], back[far])


@settings(deadline=None, max_examples=150)
@given(
    plan=plans,
    seed=st.integers(0, 2**32),
    spread=st.sampled_from([0.0, 0.3, 1.0]),
    cut=st.integers(-2, 4),
    at=st.integers(0, 5000),
    flip=st.integers(0, 255),
)
def test_foreign_bytes_are_refused_or_the_only_ones_of_their_latent(everywhere, plan, seed, spread, cut, at, flip):
    """Cut, lengthened and changed streams: alike on every backend, and no two decode to one latent."""
    data = encode(plan, make_latent(seed, plan, spread))
    data[at % len(data)] ^= flip
    data = np.concatenate([data, np.zeros(2, np.uint8)])[: len(data) - cut].copy()

    found = everywhere(lambda: decode(plan, data))

    if isinstance(found, str):
        assert f"latent: {len(data)} bytes are no latent of these tables" in found
    else:
        packed = pack(quantise(plan, found), plan.bits)
        assert data.tobytes() == (packed if len(data) == plan.packed_bytes else encode(plan, found).tobytes())


@settings(deadline=None, max_examples=60)
@given(plan=plans, data=st.binary(max_size=300))
def test_any_bytes(everywhere, plan, data):
    """Are a latent or are refused."""
    found = everywhere(lambda: decode(plan, np.frombuffer(data, np.uint8)))

    assert found.shape == plan.shape if isinstance(found, np.ndarray) else "no latent of these tables" in found


@pytest.mark.usefixtures("each_backend")
def test_likely_symbols_cost_less_than_their_bits():
    """The stream is the entropy and at most its sixteen bytes of states; packed symbols are left behind."""
    plan = make_plan(0, (2, 20, 20), 4)
    plan.histograms[:, :4] = [12, 500, 500, 12]
    latent = np.resize(np.float32([-0.5, 0.5]), plan.shape) * plan.step[:, None, None]

    entropy = 800 * np.log2(SLOTS / 500) / 8
    assert entropy <= len(encode(plan, latent)) <= entropy + 16
    assert plan.packed_bytes == 200


@pytest.mark.usefixtures("each_backend")
def test_packed_symbols_are_channel_by_channel_low_bits_first():
    """By hand: six symbols of three bits."""
    plan = make_plan(0, (2, 1, 3), 6)
    symbols = np.array([0, 1, 2, 3, 4, 5], np.int32)
    bits = sum(int(symbol) << (3 * i) for i, symbol in enumerate(symbols))

    data = encode(plan, dequantise(plan, symbols))

    assert data.tobytes() == bits.to_bytes(3, "little")


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize(("at", "value"), [(0, 0b111), (2, 0b100)])
def test_packed_symbols_that_no_encoder_writes(at, value):
    """A level beyond the last, and padding that is not zero."""
    plan = make_plan(0, (2, 1, 3), 6)
    data = np.zeros(3, np.uint8)
    data[at] = value

    with pytest.raises(PayloadError, match=r"^latent: 3 bytes are no latent of these tables"):
        kernels.LatentCoder(plan).decode(data)


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value):
    """The first of them is named."""
    latent = np.zeros((2, 3, 4), np.float32)
    latent[1, 0, 2] = latent[1, 2, 0] = value

    with pytest.raises(ArgumentError, match=rf"^latent: {value} at \[1, 0, 2\] is not finite"):
        encode(make_plan(0, (2, 3, 4), 3), latent)


@pytest.mark.usefixtures("each_backend")
def test_a_latent_is_decoded_in_place():
    """The array that was given is the one that comes back."""
    plan = make_plan(0, (2, 3, 4), 3)
    out = np.empty(plan.shape, np.float32)

    assert out is kernels.LatentCoder(plan).decode(encode(plan, make_latent(0, plan)), out)


def test_arrays_that_do_not_fit():
    """Another shape, and too little room."""
    coder = kernels.LatentCoder(make_plan(0, (2, 3, 4), 3))

    with pytest.raises(ArgumentError, match=r"^latent: shape is \(2, 4, 3\), need \(2, 3, 4\)"):
        coder.encode(np.zeros((2, 4, 3), np.float32), np.empty(coder.room, np.uint8))
    with pytest.raises(ArgumentError, match=r"^out: 37 bytes are too few, make it 38"):
        coder.encode(np.zeros((2, 3, 4), np.float32), np.empty(coder.room - 1, np.uint8))


def test_the_c_kernel_checks_room_itself():
    """For callers that are not Python."""
    native = pytest.importorskip("edge_runtime.kernels.native", reason="the compiled module is not built")
    plan = make_plan(0, (2, 3, 4), 3)
    out = np.empty(plan.packed_bytes + SPARE_BYTES - 1, np.uint8)

    assert native.latent_coder(plan).encode(np.zeros(plan.shape, np.float32), out) == Status.BAD_SIZE


def test_a_coder_keeps_the_backend_it_was_made_with():
    """As a gate does."""
    with kernels.use("reference"):
        coder = kernels.LatentCoder(make_plan(0, (1, 2, 2), 2))

    assert type(coder._coder).__module__ == "edge_runtime.kernels.reference_latents"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("height", 1025, r"height: 1025 is outside 1\.\.1024"),
        ("levels", 17, r"levels: 17 is outside 2\.\.16"),
        ("levels", 1, r"levels: 1 is outside 2\.\.16"),
        ("levels", 3, "histograms: not each of 3 levels has a share, or another symbol has"),
        ("levels", 5, "histograms: not each of 5 levels has a share, or another symbol has"),
        ("step", np.ones(257, np.float32), r"channels: 257 is outside 1\.\.256"),
        ("step", np.ones(3, np.float32), r"histograms: shape is \(2, 32\), need \(3, 32\)"),
        ("step", np.float32([1, 0]), r"step: 0\.0 of channel 1 is outside"),
        ("step", np.float32([np.nan, 1]), "step: nan of channel 0 is outside"),
        ("step", np.float32([1, 1e-37]), r"step: 9.*e-38 of channel 1 is outside"),
        ("step", np.float32([1, np.inf]), "step: inf of channel 1 is outside"),
        ("histograms", np.zeros((2, 32), np.uint16), "histograms: table 0 sums to 0"),
    ],
)
def test_plans_that_could_overflow(name, value, said):
    """Are refused before a backend sees them."""
    plan = dataclasses.replace(make_plan(0, (2, 4, 4), 4), **{name: value})
    with pytest.raises(ArgumentError, match=f"^{said}"):
        kernels.LatentCoder(plan)


def test_latents_beyond_any_memory():
    """Sides that fit one by one must fit together."""
    with pytest.raises(ArgumentError, match=r"^values: 2097152 is outside 1\.\.1048576"):
        kernels.LatentCoder(make_plan(0, (2, 1024, 1024), 2))
