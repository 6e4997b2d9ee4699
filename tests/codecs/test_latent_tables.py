"""Tests of edge_runtime.codecs.latent_tables: tables that would mislead a coder are named."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest

from edge_runtime.codecs.latent_tables import LatentTables, Tables, make_tables
from edge_runtime.errors import ArgumentError, BundleError

SHAPE = (3, 5, 4)
LEVELS = (2, 3, 16)
STEPS = np.arange(1, 10, dtype=np.float32).reshape(3, 3)


def counted(seed: int = 0, encoders: int = 2) -> np.ndarray:
    """Counts of any size, many of them zero, also of symbols that do not exist."""
    rng = np.random.default_rng(seed)
    shape = (encoders, len(LEVELS), SHAPE[0], 16)
    return (10 ** rng.uniform(0, 9, shape) * rng.integers(0, 2, shape)).astype(np.int64)


@pytest.fixture(scope="module")
def data() -> bytes:
    """A tables file of two encoders and three numbers of levels."""
    return make_tables(SHAPE, LEVELS, STEPS, counted())


def spoil(data: bytes, **fields: object) -> bytes:
    """The same tables, but for some fields."""
    stored = msgspec.msgpack.decode(data, type=LatentTables)
    return msgspec.msgpack.encode(msgspec.structs.replace(stored, **fields))


def replace(data: bytes, name: str, dtype: str, at: int | slice, value: object) -> bytes:
    """The same tables, but for some numbers of an array."""
    array = np.frombuffer(getattr(msgspec.msgpack.decode(data, type=LatentTables), name), dtype).copy()
    array[at] = value
    return spoil(data, **{name: array.tobytes()})


def test_what_goes_in_comes_out(data):
    """Shape, levels, and the step of each number of levels."""
    tables = Tables(data)

    assert tables.shape == SHAPE
    assert (tables.stored.encoders, tables.stored.levels) == (2, LEVELS)
    for encoders, (at, levels) in itertools.product((1, 2), enumerate(LEVELS)):
        plan = tables.plan(encoders, levels)
        assert (plan.shape, plan.levels) == (SHAPE, levels)
        assert np.array_equal(STEPS[at], plan.step)


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_those_of_the_counts(seed):
    """Within one and a half in 1024 but for the largest, and no level goes without."""
    counts = counted(seed)
    tables = Tables(make_tables(SHAPE, LEVELS, STEPS, counts))

    for encoders, (at, levels) in itertools.product((1, 2), enumerate(LEVELS)):
        seen = np.maximum(counts[encoders - 1, at, :, :levels], 1)
        exact = 1024 * seen / seen.sum(axis=1, keepdims=True)
        shares = tables.plan(encoders, levels).histograms[:, :levels].astype(int)
        assert (shares.sum(axis=1) == 1024).all()
        assert shares.min() >= 1
        smaller = seen < seen.max(axis=1, keepdims=True)
        assert (np.abs(shares - exact)[smaller] <= 1).all()


def test_nothing_seen_is_all_levels_alike():
    """Without any photo, too, there is something to code with."""
    tables = Tables(make_tables(SHAPE, LEVELS, STEPS, np.zeros_like(counted())))

    assert (tables.plan(1, 2).histograms[:, :2] == 512).all()
    assert tables.plan(2, 3).histograms[0, :3].tolist() == [342, 341, 341]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"version": 2}, "tables: version 2 is unknown, this decoder reads 1"),
        ({"channels": 0}, "are no latent tables: Expected `int` >= 1"),
        ({"channels": 257}, "Expected `int` <= 256"),
        ({"height": 1025}, "Expected `int` <= 1024"),
        ({"encoders": 17}, "Expected `int` <= 16"),
        ({"encoders": 3}, "tables: histograms has 576 bytes, needs 864"),
        ({"channels": 4}, "tables: steps has 36 bytes, needs 48"),
        ({"levels": ()}, "Expected `array` of length >= 1"),
        ({"levels": (2, 3, 17)}, "Expected `int` <= 16"),
        ({"levels": (1, 2, 3)}, "Expected `int` >= 2"),
        ({"levels": (2, 16, 3)}, r"tables: levels \[2, 16, 3\] do not ascend"),
        ({"levels": (2, 3, 3)}, r"tables: levels \[2, 3, 3\] do not ascend"),
        ({"levels": (2, 4, 16)}, "tables: 1 encoders at 4 levels: histograms: not each of 4 levels has a share"),
        ({"height": 1024, "width": 1024}, "a latent of 3145728 values is larger than 1048576"),
    ],
)
def test_fields_that_do_not_fit(data, fields, said):
    """Versions, extents, levels and lengths."""
    with pytest.raises(BundleError, match=said):
        Tables(spoil(data, **fields))


@pytest.mark.parametrize(
    ("name", "dtype", "at", "value", "said"),
    [
        ("steps", "<f4", 4, 0, r"tables: 1 encoders at 3 levels: step: 0\.0 of channel 1 is outside 2\^-120\.\.2\^120"),
        ("steps", "<f4", 8, -1, r"tables: 1 encoders at 16 levels: step: -1\.0 of channel 2"),
        ("steps", "<f4", 0, np.nan, "step: nan of channel 0"),
        ("steps", "<f4", 0, np.inf, "step: inf of channel 0"),
        ("steps", "<f4", 0, 1e-40, "step: .*e-41 of channel 0"),
        ("steps", "<f4", 0, 3e38, "step: .*e.38 of channel 0"),
        ("histograms", "<u2", 0, 0, "1 encoders at 2 levels: histograms: table 0 sums to"),
        ("histograms", "<u2", slice(0, 2), [1024, 0], "a share of 1024 leaves no code for others"),
        ("histograms", "<u2", slice(0, 3), [0, 1000, 24], "histograms: not each of 2 levels has a share"),
        (
            "histograms",
            "<u2",
            slice(-16, None),
            [0] + [60] * 14 + [184],
            "2 encoders at 16 levels: histograms: not each",
        ),
    ],
)
def test_numbers_that_no_coder_may_use(data, name, dtype, at, value, said):
    """Steps that leave float32, histograms that cannot be coded with: with the mode they belong to."""
    with pytest.raises(BundleError, match=said):
        Tables(replace(data, name, dtype, at, value))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"no tables"])
def test_what_is_no_tables_file(data):
    """Says how many bytes it looked at."""
    with pytest.raises(BundleError, match=rf"^tables: {len(data)} bytes are no latent tables"):
        Tables(data)


def test_arrays_that_do_not_fit_together():
    """Steps by level and channel, counts by encoders, level, channel and symbol."""
    with pytest.raises(ArgumentError, match=r"^steps: shape is \(3, 3\), need \(2, 3\)"):
        make_tables(SHAPE, LEVELS[:2], STEPS, counted())
    with pytest.raises(ArgumentError, match=r"^counts: shape is \(2, 3, 3, 15\), need"):
        make_tables(SHAPE, LEVELS, STEPS, np.ascontiguousarray(counted()[..., :15]))


def test_steps_that_no_coder_may_use_are_not_written():
    """Better at export than on the device."""
    with pytest.raises(BundleError, match=r"^tables: 1 encoders at 2 levels: step: 0\.0 of channel 0"):
        make_tables(SHAPE, LEVELS, STEPS - 1, counted())
