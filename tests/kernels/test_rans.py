"""The entropy coder: the same bytes on every backend, and nothing but its own bytes accepted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.kernels.feature_plan import PROBABILITY_BITS
from edge_runtime.kernels.interface import Status

SLOTS = 1 << PROBABILITY_BITS


def histograms(seed: int, count: int) -> np.ndarray:
    """Random shares, many of them zero; the escape always has one."""
    rng = np.random.default_rng(seed)
    rows = rng.random((count, 32)) ** 8 * (rng.random((count, 32)) < rng.random((count, 1)))
    shares = (rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-9) * (SLOTS - 2)).astype(np.uint16)
    shares[:, 15] = np.maximum(shares[:, 15], 1)
    shares[:, 31] = 0
    shares[:, 31] = SLOTS - shares.sum(axis=1)
    return shares


def symbols(seed: int, count: int, tables: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of all magnitudes, tables and shifts."""
    rng = np.random.default_rng(seed)
    size = 2.0 ** rng.uniform(-2, 15, count)
    values = np.clip(np.rint(rng.laplace(size=count) * size), -32767, 32767).astype(np.int32)
    shifts = np.where(rng.random(count) < 0.5, 0, rng.integers(0, 17, count)).astype(np.uint8)
    return values, rng.integers(0, tables, count).astype(np.uint8), shifts


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 70), tables=st.integers(1, 9))
def test_what_goes_in_comes_out(everywhere, seed, count, tables):
    """Any values with any tables, and every backend writes the same bytes."""
    values, chosen, shifts = symbols(seed, count, tables)
    shares = histograms(seed, tables)

    data = everywhere(lambda: kernels.rans_encode(values, chosen, shifts, shares))
    back = everywhere(lambda: kernels.rans_decode(data, chosen, shifts, shares))

    assert np.array_equal(values, back)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), cut=st.integers(0, 8), at=st.integers(0, 1000), flip=st.integers(0, 255))
def test_foreign_bytes_are_refused_or_decoded_alike(everywhere, seed, cut, at, flip):
    """Cut and changed streams are refused, or give as many values, on every backend the same."""
    values, chosen, shifts = symbols(seed, 40, 3)
    shares = histograms(seed, 3)
    data = kernels.rans_encode(values, chosen, shifts, shares).copy()
    data[at % len(data)] ^= flip

    def attempt():
        try:
            return kernels.rans_decode(data[: len(data) - cut].copy(), chosen, shifts, shares)
        except PayloadError as error:
            return str(error)

    found = everywhere(attempt)
    assert found.shape == (40,) if isinstance(found, np.ndarray) else "no stream of 40 values" in found


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("size", [0, 15, 17, 30])
def test_a_stream_ends_where_it_ends(size):
    """A byte less or more is no stream."""
    values, none = np.zeros(8, np.int32), np.zeros(8, np.uint8)
    shares = histograms(0, 1)
    data = np.resize(np.append(kernels.rans_encode(values, none, none, shares), np.uint8(1)), size)

    with pytest.raises(PayloadError, match=rf"^features: {size} bytes are no stream of 8 values"):
        kernels.rans_decode(data, none, none, shares)


@pytest.mark.usefixtures("each_backend")
def test_certain_values_cost_nothing():
    """A thousand likely zeros fit into the four states."""
    shares = np.zeros((1, 32), np.uint16)
    shares[0, [15, 31]] = SLOTS - 1, 1
    none = np.zeros(1000, np.uint8)

    assert len(kernels.rans_encode(np.zeros(1000, np.int32), none, none, shares)) == 16


def spoiled(name: str, value: object) -> dict[str, np.ndarray]:
    """Good arguments, but for one."""
    arguments = {
        "values": np.zeros(4, np.int32),
        "tables": np.zeros(4, np.uint8),
        "shifts": np.zeros(4, np.uint8),
        "histograms": histograms(0, 2),
    }
    if name == "histograms":
        arguments[name][1] = value
    else:
        arguments[name][2] = value
    return arguments


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("values", 32768, "values: 32768 is outside ±32767"),
        ("tables", 2, r"tables: 2 is outside 0\.\.1"),
        ("shifts", 17, r"shifts: 17 is outside 0\.\.16"),
        ("histograms", [0] * 31 + [SLOTS - 1], f"histograms: table 1 sums to {SLOTS - 1}, must"),
        ("histograms", [0] * 31 + [SLOTS], f"histograms: a share of {SLOTS} leaves"),
        ("histograms", [SLOTS - 6, 6] + [0] * 30, "histograms: the escape has no share"),
    ],
)
def test_what_cannot_be_coded_is_named(name, value, said):
    """Before any backend sees it."""
    with pytest.raises(ArgumentError, match=f"^{said}"):
        kernels.rans_encode(**spoiled(name, value))


def test_lengths_must_agree():
    """One table and one shift a value."""
    with pytest.raises(ArgumentError, match=r"^tables: shape is \(3,\), need \(4\)"):
        kernels.rans_encode(**{**spoiled("shifts", 0), "tables": np.zeros(3, np.uint8)})


def test_a_backend_without_room_is_an_error(monkeypatch):
    """A status is never taken for a length."""
    monkeypatch.setattr(kernels.dispatch.active, "rans_encode", lambda *_: Status.BAD_SIZE)
    with pytest.raises(ArgumentError, match=r"^values: \d+ bytes do not hold 4 values"):
        kernels.rans_encode(**spoiled("shifts", 0))
