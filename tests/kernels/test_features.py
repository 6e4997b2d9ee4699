"""The feature coder: the same bytes and maps on every backend."""

from __future__ import annotations

import dataclasses
import importlib
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.codecs.feature_tables import Tables
from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.kernels.feature_plan import PROBABILITY_BITS, RATIOS
from edge_runtime.kernels.reference_features import FeatureCoder as Oracle

ACTIVITY_TABLES = 13
SLOTS = 1 << PROBABILITY_BITS
GOLDEN = Path(__file__).parents[1] / "codecs" / "golden" / "features-v1.tables"
MAPS_PER_PLAN = 125
# Sides of maps and blocks; channels around the widths of vectors.
SHAPES = [
    ((1, 3, 2), 1),
    ((5, 9, 9), 4),
    ((16, 8, 8), 8),
    ((17, 7, 12), 7),
    ((24, 11, 5), 3),
    ((33, 5, 4), 2),
    ((40, 6, 3), 4),
]


def matrix(rng: np.random.Generator, size: int) -> np.ndarray:
    """int16, rows sum to nearly the largest that cannot overflow."""
    exact = rng.standard_normal((size, size))
    factor = np.minimum(65000 / np.abs(exact).sum(axis=1), 32767 / np.abs(exact).max(axis=1))
    return np.rint(exact * factor[:, None]).astype(np.int16)


def histograms(rng: np.random.Generator) -> np.ndarray:
    """Random shares for coefficients, then for block classes."""
    rows = rng.dirichlet(np.full(32, 0.3), RATIOS) * (SLOTS - 40)
    rows = np.concatenate([rows, np.pad(rng.dirichlet(np.ones(4), ACTIVITY_TABLES) * (SLOTS - 40), ((0, 0), (0, 28)))])
    shares = rows.astype(np.uint16)
    shares[RATIOS:, :4] += 1
    last = np.where(np.arange(len(shares)) < RATIOS, 31, 0)
    shares[np.arange(len(shares)), last] += (SLOTS - shares.sum(axis=1)).astype(np.uint16)
    return shares


def make_plan(
    seed: int, shape: tuple[int, int, int], block: int, *, activity: bool = True, rectified: bool = False
) -> kernels.FeaturePlan:
    """A random plan."""
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    basis, _ = np.linalg.qr(rng.standard_normal((block, block)))
    return kernels.FeaturePlan(
        channels=channels,
        height=height,
        width=width,
        block=block,
        rectified=rectified,
        activity=activity and block > 1,
        mean=rng.standard_normal(channels).astype(np.float32),
        scale=(10 ** rng.uniform(1, 4, channels)).astype(np.float32),
        unscale=(10 ** rng.uniform(-4, -1, channels)).astype(np.float32),
        basis=np.rint(basis * 16384).astype(np.int16),
        forward=matrix(rng, channels),
        inverse=matrix(rng, channels),
        histograms=histograms(rng),
    )


def make_step(seed: int, plan: kernels.FeaturePlan) -> kernels.FeatureStep:
    """A random step."""
    rng = np.random.default_rng(seed)
    grid = (plan.frequencies, plan.channels)
    extent = rng.integers(0, plan.channels + 1, plan.frequencies).astype(np.uint16)
    extent[0] = max(extent[0], 1)
    coarse = rng.uniform(8, 28)
    return kernels.FeatureStep(
        extent=extent,
        inverse=(2.0 ** -(coarse + rng.uniform(-3, 3, grid))).astype(np.float32),
        step=(2.0 ** rng.uniform(0, 14, grid)).astype(np.float32),
        ratio=rng.integers(0, 64, grid).astype(np.uint8),
        floor=np.maximum(rng.standard_normal(plan.channels), 0).astype(np.float32),
        level=int(rng.integers(0, 2000)),
        activity_table=RATIOS + int(rng.integers(ACTIVITY_TABLES)),
    )


def make_map(seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Noise whose size differs from channel to channel and from place to place."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 10 ** rng.uniform(-3, 2, (shape[0], 1, shape[2]))).astype(np.float32)


def encode(plan: kernels.FeaturePlan, step: kernels.FeatureStep, features: np.ndarray) -> np.ndarray:
    """By a coder of the backend in use."""
    coder = kernels.FeatureCoder(plan)
    out = np.empty(coder.largest, np.uint8)
    coder.transform(features)
    return out[: coder.encode(step, out)].copy()


def decode(plan: kernels.FeaturePlan, step: kernels.FeatureStep, data: np.ndarray) -> np.ndarray | str:
    """By a coder of the backend in use; its sentence where it refuses."""
    try:
        return kernels.FeatureCoder(plan).decode(step, data)
    except PayloadError as error:
        return str(error)


plans = st.builds(
    make_plan,
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)),
    block=st.sampled_from([1, 2, 3, 4, 7, 8]),
    activity=st.booleans(),
    rectified=st.booleans(),
)


@settings(deadline=None, max_examples=50)
@given(plan=plans, seed=st.integers(0, 2**32))
def test_every_backend_writes_and_reads_the_same(everywhere, plan, seed):
    """Whatever the tables, and the map that comes back is that of the quantised coefficients."""
    shape = plan.channels, plan.height, plan.width
    step, features = make_step(seed, plan), make_map(seed, shape)

    data = everywhere(lambda: encode(plan, step, features))
    restored = everywhere(lambda: decode(plan, step, data))

    oracle, expected = Oracle(plan), np.empty(shape, np.float32)
    oracle.transform(features)
    oracle.reconstruct(oracle.quantise(step), step, expected)
    assert np.array_equal(expected, restored)
    assert not plan.rectified or restored.min() >= 0


@settings(deadline=None, max_examples=50)
@given(plan=plans, seed=st.integers(0, 2**32), cut=st.integers(0, 4), at=st.integers(0, 5000), flip=st.integers(0, 255))
def test_foreign_bytes_are_refused_or_decoded_alike(everywhere, plan, seed, cut, at, flip):
    """Cut and changed streams are refused, or give a map of the plan's shape, on every backend the same."""
    shape = plan.channels, plan.height, plan.width
    step = make_step(seed, plan)
    data = encode(plan, step, make_map(seed, shape))
    data[at % len(data)] ^= flip
    data = data[: len(data) - cut].copy()

    found = everywhere(lambda: decode(plan, step, data))

    assert shape == found.shape if isinstance(found, np.ndarray) else "no stream of these tables" in found


@contextmanager
def native_with(isa: str):
    """Native kernels with one instruction set."""
    native = importlib.import_module("edge_runtime.kernels.native")
    best = native.info().isa
    native.use_isa(isa)
    try:
        with kernels.use("native"):
            yield
    finally:
        native.use_isa(best)


def golden_coding() -> tuple[kernels.FeaturePlan, list[kernels.FeatureStep]]:
    """The golden tables at ten qualities."""
    tables = Tables(GOLDEN.read_bytes())
    return tables.plan, [tables.step(quality) for quality in range(0, 101, 11)]


def random_coding(number: int) -> tuple[kernels.FeaturePlan, list[kernels.FeatureStep]]:
    """Random tables of one of the shapes, and ten steps."""
    shape, block = SHAPES[number]
    plan = make_plan(number, shape, block, activity=number % 3 > 0, rectified=number % 2 > 0)
    return plan, [make_step(seed, plan) for seed in range(10)]


def coded_maps(coding: tuple[kernels.FeaturePlan, list[kernels.FeatureStep]]) -> list[tuple[bytes, bytes]]:
    """Bytes of seeded maps, and of what they decode to, all by one coder of the backend in use."""
    plan, steps = coding
    coder = kernels.FeatureCoder(plan)
    out = np.empty(coder.largest, np.uint8)
    coded = []
    for seed in range(MAPS_PER_PLAN):
        step = steps[seed % len(steps)]
        coder.transform(make_map(seed, (plan.channels, plan.height, plan.width)))
        data = out[: coder.encode(step, out)]
        coded.append((data.tobytes(), coder.decode(step, data).tobytes()))
    return coded


CODINGS = {"golden": golden_coding} | {f"{shape}": partial(random_coding, i) for i, (shape, _) in enumerate(SHAPES)}


@pytest.fixture(scope="module", params=CODINGS)
def coding(request):
    """Tables and steps, and what the reference makes of their maps."""
    made = CODINGS[request.param]()
    with kernels.use("reference"):
        return made, coded_maps(made)


@pytest.mark.long
def test_a_thousand_maps_native(coding, isa):
    """Every instruction set writes the bytes and reads the values of the reference."""
    made, expected = coding
    with native_with(isa):
        assert expected == coded_maps(made)


@pytest.mark.long
def test_a_thousand_maps_jit(coding):
    """Numba writes the bytes and reads the values of the reference."""
    pytest.importorskip("numba")
    made, expected = coding
    with kernels.use("jit"):
        assert expected == coded_maps(made)


@pytest.mark.usefixtures("each_backend")
def test_one_map_at_many_steps():
    """A map is taken in once; more steps than a coder remembers follow, and the first again."""
    plan = make_plan(0, (3, 7, 7), 7)
    steps = [make_step(seed, plan) for seed in range(40)]
    features = make_map(0, (3, 7, 7))
    coder = kernels.FeatureCoder(plan)
    out = np.empty(coder.largest, np.uint8)

    coder.transform(features)
    for step in [*steps, steps[0]]:
        size = coder.encode(step, out)
        assert np.array_equal(encode(plan, step, features), out[:size])


def test_a_coder_keeps_the_backend_it_was_made_with():
    """As a gate does."""
    plan = make_plan(0, (1, 2, 2), 2)
    with kernels.use("reference"):
        coder = kernels.FeatureCoder(plan)

    assert isinstance(coder._coder, Oracle)


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.nan, r"features: nan at \[1, 0, 2\] is not finite"),
        (-np.inf, r"features: -inf at \[1, 0, 2\] is not finite"),
        (3e38, r"features: 3.*e\+38 at \[1, 0, 2\] overflows when it is scaled"),
    ],
)
def test_values_that_cannot_be_scaled(value, said):
    """The first of them is named."""
    features = np.zeros((2, 3, 4), np.float32)
    features[1, 0, 2] = value

    with pytest.raises(ArgumentError, match=f"^{said}"):
        kernels.FeatureCoder(make_plan(0, (2, 3, 4), 2)).transform(features)


@pytest.mark.usefixtures("each_backend")
def test_a_map_of_another_shape():
    """Is refused by its shape."""
    coder = kernels.FeatureCoder(make_plan(0, (2, 3, 4), 2))
    with pytest.raises(ArgumentError, match=r"^features: shape is \(2, 4, 3\), need \(2, 3, 4\)"):
        coder.transform(np.zeros((2, 4, 3), np.float32))


@pytest.mark.usefixtures("each_backend")
def test_too_little_room():
    """Says how much always suffices, and the coder goes on."""
    plan = make_plan(0, (2, 3, 4), 2)
    coder = kernels.FeatureCoder(plan)
    coder.transform(make_map(0, (2, 3, 4)))
    with pytest.raises(ArgumentError, match=r"^out: 5 bytes do not hold the map, \d+ always do"):
        coder.encode(make_step(0, plan), np.empty(5, np.uint8))

    assert coder.encode(make_step(0, plan), np.empty(coder.largest, np.uint8)) >= 16


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("channels", 4097, r"plan\.channels: 4097 is outside 1\.\.4096"),
        ("block", 9, r"plan\.block: 9 is outside 1\.\.8"),
        ("mean", np.full(2, np.nan, np.float32), r"plan\.mean: holds NaN"),
        ("scale", np.zeros(3, np.float32), r"plan\.scale: shape is \(3,\), need \(2\)"),
        ("basis", np.full((2, 2), 32767, np.int32), r"plan\.basis: dtype is int32"),
        ("forward", np.full((2, 2), -32768, np.int16), r"plan\.forward: the magnitudes of a row sum to 65536"),
        ("histograms", np.zeros((41, 32), np.uint16), "histograms: table 0 sums to 0"),
    ],
)
def test_plans_that_could_overflow(name, value, said):
    """Are refused before a backend sees them."""
    plan = dataclasses.replace(make_plan(0, (2, 4, 4), 2), **{name: value})
    with pytest.raises(ArgumentError, match=f"^{said}"):
        kernels.FeatureCoder(plan)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("extent", np.full(4, 3, np.uint16), r"step\.extent: outside 0\.\.2"),
        ("extent", np.zeros(4, np.uint16), r"step\.extent: outside 0\.\.2, or 0 for the lowest frequency"),
        ("ratio", np.full((4, 2), 64, np.uint8), r"step\.ratio: 64 is outside 0\.\.63"),
        ("inverse", np.full((4, 2), np.inf, np.float32), "step: a step is not finite"),
        ("activity_table", 41, r"step\.activity_table: 41 is outside 0\.\.40"),
        ("activity_table", 0, r"step\.activity_table: histogram 0 lacks a block class"),
    ],
)
def test_steps_that_leave_the_tables(name, value, said):
    """Are refused before a backend sees them."""
    plan = make_plan(0, (2, 4, 4), 2)
    step = dataclasses.replace(make_step(0, plan), **{name: value})
    with pytest.raises(ArgumentError, match=f"^{said}"):
        kernels.FeatureCoder(plan).decode(step, np.zeros(16, np.uint8))
