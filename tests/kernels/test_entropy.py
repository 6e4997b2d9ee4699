"""Uncertainty and softmax, against an oracle in extended precision."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError

SIZES = [1, 2, 3, 15, 16, 17, 195, 196, 197, 577, 1000]
HUGE = 2.0**127


def ulps(expected: float, actual: float) -> float:
    """Distance in units in the last place of float32."""
    return float(abs(expected - actual)) / float(np.spacing(np.float32(abs(expected))))


def oracle(logits: np.ndarray) -> tuple[float, float, float, int, np.ndarray]:
    """The definitions in float64, arranged so that nothing cancels."""
    x = logits.astype(np.float64)
    label = int(np.argmax(x))
    distance = x[label] - x
    others = np.delete(distance, label)
    exponentials = np.exp(-others)
    rest = math.fsum(exponentials)
    min_entropy = math.log1p(rest) / math.log(2)
    finite = np.where(np.isfinite(others), others, 0.0)
    shannon = min_entropy + math.fsum(exponentials * finite) / (1 + rest) / math.log(2)
    margin = -math.expm1(-others.min()) / (1 + rest) if len(others) else 1.0
    return min_entropy, shannon, margin, label, np.exp(-distance) / (1 + rest)


def check(everywhere, logits):
    """Every measure and every probability within 4 ulp, in every backend."""
    *expected, label, probabilities = oracle(logits)

    actual = everywhere(lambda: kernels.uncertainty(logits))
    assert label == actual.label
    for want, got in zip(expected, actual[:3], strict=True):
        assert ulps(want, got) <= 4

    for want, got in zip(probabilities, everywhere(lambda: kernels.softmax(logits)), strict=True):
        assert ulps(float(want), float(got)) <= 4


@pytest.mark.parametrize("classes", SIZES)
@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 10.0, 1000.0, 1e37])
def test_measures_are_true_to_four_ulp(everywhere, classes, scale):
    """From nearly flat to one class certain."""
    logits = np.random.default_rng(classes).normal(0, scale, classes).astype(np.float32)

    check(everywhere, logits)


@settings(deadline=None, max_examples=150)
@given(arrays(np.float32, st.integers(1, 40), elements=st.floats(-HUGE, HUGE, width=32)))
def test_any_finite_logits_are_safe(everywhere, logits):
    """No overflow, no NaN."""
    check(everywhere, logits)


@pytest.mark.parametrize("value", [HUGE, -HUGE, 0.0])
def test_equal_logits_are_one_over_the_classes(everywhere, value):
    """Both entropies log2 C, margin 0, label the lowest."""
    actual = everywhere(lambda: kernels.uncertainty(np.full(8, value, np.float32)))

    assert actual == (3.0, 3.0, 0.0, 0)


def test_one_class_is_certain(everywhere):
    """Entropies 0, margin 1."""
    assert everywhere(lambda: kernels.uncertainty(np.zeros(1, np.float32))) == (0.0, 0.0, 1.0, 0)


def test_minus_infinity_is_probability_zero(everywhere):
    """A masked class changes nothing for the others."""
    logits = np.array([1.0, -np.inf, 1.0, -np.inf, -np.inf], np.float32)

    assert everywhere(lambda: kernels.uncertainty(logits)) == (1.0, 1.0, 0.0, 0)
    assert everywhere(lambda: kernels.softmax(logits)).tolist() == [0.5, 0, 0.5, 0, 0]


def test_a_tiny_entropy_is_not_rounded_to_zero(everywhere):
    """20 nats of distance leave e^-20 log2 e bits."""
    actual = everywhere(lambda: kernels.uncertainty(np.array([20, 0], np.float32)))

    assert ulps(math.exp(-20) / math.log(2), actual.min_entropy) <= 4


@pytest.mark.parametrize("position", [0, 3, 15, 16, 18])
@pytest.mark.parametrize(("bad", "shown"), [(np.nan, "nan"), (np.inf, "inf")])
@pytest.mark.usefixtures("each_backend")
def test_nan_and_infinity_are_refused(bad, shown, position):
    """Wherever they stand; the message says where."""
    logits = np.zeros(19, np.float32)
    logits[position] = bad

    for kernel in (kernels.uncertainty, kernels.softmax):
        with pytest.raises(ArgumentError, match=f"^logits: {shown} at index {position},"):
            kernel(logits)


@pytest.mark.usefixtures("each_backend")
def test_nothing_finite_is_refused():
    """All classes masked."""
    with pytest.raises(ArgumentError, match=r"^logits: every value is -inf"):
        kernels.uncertainty(np.full(5, -np.inf, np.float32))


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        ([1.0], "logits: got list"),
        (np.zeros(3), "logits: dtype is float64"),
        (np.zeros((1, 3), np.float32), r"logits: shape is \(1, 3\)"),
        (np.zeros(0, np.float32), r"logits: shape is \(0,\)"),
        (np.zeros(6, np.float32)[::2], "logits: strides are"),
        (np.zeros(3, ">f4"), "logits: dtype is >f4"),
    ],
)
def test_refusals_name_the_argument(logits, message):
    """One line: argument, value, remedy."""
    with pytest.raises(ArgumentError, match=f"^{message}"):
        kernels.uncertainty(logits)


def test_the_constants_are_the_nearest_doubles():
    """The two halves of ln 2 add up to it beyond double precision."""
    from edge_runtime.kernels import constants

    ln2 = Fraction("0.693147180559945309417232121458176568")
    halves = Fraction(constants.LN2_HIGH) + Fraction(constants.LN2_LOW)
    assert abs(halves - ln2) < Fraction(1, 10**25)
    assert 1 / math.log(2) == pytest.approx(constants.LOG2_E, rel=1e-15)
