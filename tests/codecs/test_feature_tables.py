"""Tests of edge_runtime.codecs.feature_tables: tables that would mislead a coder are named."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest

from edge_runtime.codecs.feature_tables import EIGHTHS, FeatureTables, Tables, power
from edge_runtime.errors import BundleError
from edge_runtime.kernels.feature_plan import PROBABILITY_BITS, RATIOS

SLOTS = 1 << PROBABILITY_BITS


def spoil(tables: bytes, name: str, value: object) -> bytes:
    """The same tables, but for one field."""
    stored = msgspec.msgpack.decode(tables, type=FeatureTables)
    return msgspec.msgpack.encode(msgspec.structs.replace(stored, **{name: value}))


def replace(tables: bytes, name: str, dtype: str, at: int, value: float) -> bytes:
    """The same tables, but for one number of an array."""
    stored = msgspec.msgpack.decode(tables, type=FeatureTables)
    array = np.frombuffer(getattr(stored, name), dtype).copy()
    array[at] = value
    return spoil(tables, name, array.tobytes())


def test_shape_and_sizes(tables):
    """A map's shape, and a size for each quality."""
    read = Tables(tables)

    assert read.shape == (5, 14, 14)
    assert read.bytes_at.shape == (101,)


def test_every_quality_makes_a_step(tables):
    """Each is finer than the one before, and codes at least as much."""
    read = Tables(tables)
    steps = [read.step(quality) for quality in range(101)]

    for coarse, fine in itertools.pairwise(steps):
        assert (fine.step < coarse.step).all()
        assert (fine.extent >= coarse.extent).all()
        assert (fine.ratio >= coarse.ratio).all()


def test_powers_are_exact():
    """Eighths of octaves are eight numbers, scaled exactly."""
    eighths = np.arange(-64, 64, dtype=np.int32)

    assert np.array_equal(power(eighths), EIGHTHS[eighths % 8] * 2.0 ** (eighths // 8))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("version", 2, "tables: version 2 is unknown, this decoder reads 1"),
        ("channels", 0, "are no feature tables: Expected `int` >= 1"),
        ("channels", 6, "tables: mean has 20 bytes, needs 24"),
        ("height", 1025, "Expected `int` <= 1024"),
        ("block", 9, "Expected `int` <= 8"),
        ("basis", b"", "tables: basis has 0 bytes, needs 98"),
    ],
)
def test_fields_that_do_not_fit(tables, name, value, said):
    """Versions, extents and lengths."""
    with pytest.raises(BundleError, match=said):
        Tables(spoil(tables, name, value))


def test_maps_beyond_any_memory(tables):
    """Extents that fit one by one must fit together."""
    with pytest.raises(BundleError, match="a map of 4294967296 values is larger than"):
        Tables(spoil(spoil(spoil(tables, "channels", 4096), "height", 1024), "width", 1024))


@pytest.mark.parametrize(
    ("name", "dtype", "at", "value", "said"),
    [
        ("basis", "<i2", 0, 32767, "a row of basis sums to more than 65535"),
        ("forward", "<i2", slice(0, 3), 32767, "a row of forward sums to more than 65535"),
        ("inverse", "<i2", slice(0, 3), -32768, "a row of inverse sums to more than 65535"),
        ("histograms", "<u2", 15, 0, "a histogram does not sum to"),
        ("histograms", "<u2", slice(0, 32), [0] * 31 + [SLOTS], "one certain symbol or no escape"),
        ("histograms", "<u2", slice(0, 32), [2, SLOTS - 2] + [0] * 30, "one certain symbol or no escape"),
        (
            "histograms",
            "<u2",
            slice(32 * RATIOS, 32 * RATIOS + 5),
            [SLOTS - 4, 1, 1, 1, 1],
            "must give each of the four",
        ),
        ("mean", "<f4", 1, np.nan, "mean is not finite"),
        ("unscale", "<f4", 1, np.inf, "unscale is not finite"),
        ("step_exponent", "<i2", 7, 401, "a step or floor is beyond"),
        ("gain", "<i2", 0, -401, "a step or floor is beyond"),
    ],
)
def test_numbers_that_no_coder_may_use(tables, name, dtype, at, value, said):
    """Sums that overflow, histograms that cannot be coded with, steps beyond float32."""
    with pytest.raises(BundleError, match=f"^tables: .*{said}"):
        Tables(replace(tables, name, dtype, at, value))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"no tables"])
def test_what_is_no_tables_file(data):
    """Says how many bytes it looked at."""
    with pytest.raises(BundleError, match=rf"^tables: {len(data)} bytes are no feature tables"):
        Tables(data)
