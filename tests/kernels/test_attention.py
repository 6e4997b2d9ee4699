"""Class attention and rollout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError

TOKENS = [2, 3, 4, 16, 17, 18, 196, 197, 198, 577, 578]


def rows(seed: int, *shape: int) -> np.ndarray:
    """Softmax-like rows along the last axis."""
    return np.random.default_rng(seed).dirichlet(np.full(shape[-1], 0.3), shape[:-1]).astype(np.float32)


def ulps(expected: np.ndarray, actual: np.ndarray) -> float:
    """Largest distance in units in the last place of float32."""
    return float(np.max(np.abs(expected - actual.astype(np.float64)) / np.spacing(expected.astype(np.float32))))


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("heads", [1, 3, 12])
def test_class_attention_is_the_mean_over_heads_renormalised(everywhere, heads, tokens):
    """Against float64, within 4 ulp, and the same bytes everywhere."""
    attention = rows(tokens, heads, tokens)
    mean = attention.astype(np.float64).mean(axis=0)[1:]

    actual = everywhere(lambda: kernels.class_attention(attention))

    assert ulps(mean / mean.sum(), actual) <= 4


@pytest.mark.parametrize("tokens", [2, 3, 16, 17, 50])
@pytest.mark.parametrize("layers", [None, slice(1, 3), slice(None, None, 2)])
def test_rollout_is_the_class_row_of_the_product(everywhere, tokens, layers):
    """Heads averaged first, identity added, last layer leftmost."""
    attention = rows(tokens, 4, 3, tokens, tokens)
    product = np.eye(tokens)
    for layer in attention[layers or slice(None)].astype(np.float64):
        product = (layer.mean(axis=0) + np.eye(tokens)) @ product
    expected = product[0, 1:] / product[0, 1:].sum()

    actual = everywhere(lambda: kernels.rollout(attention, layers))

    assert ulps(expected, actual) <= 4


def test_rollout_of_one_layer_is_its_class_attention():
    """The identity only adds to the class token's own column."""
    attention = rows(5, 1, 3, 17, 17)

    np.testing.assert_array_max_ulp(kernels.class_attention(attention[0, :, 0].copy()), kernels.rollout(attention), 2)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5), st.integers(2, 40), st.integers(0, 1000), st.sampled_from([0.01, 1.0, 100.0]))
def test_scores_are_shares_of_one(everywhere, heads, tokens, seed, concentration):
    """Each in 0..1, however concentrated the attention is."""
    attention = np.random.default_rng(seed).dirichlet(np.full(tokens, concentration), heads).astype(np.float32)
    attention[:, 1:] += np.float32(1e-30)

    scores = everywhere(lambda: kernels.class_attention(attention))

    assert scores.min() >= 0
    assert scores.max() <= 1
    assert scores.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
@pytest.mark.usefixtures("each_backend")
def test_attention_without_a_usable_sum_is_refused(value):
    """NaN, infinity, or nothing on any patch."""
    attention = np.full((3, 5), value, np.float32)

    with pytest.raises(ArgumentError, match=r"^attention: "):
        kernels.class_attention(attention)
    with pytest.raises(ArgumentError, match=r"^attention: "):
        kernels.rollout(np.broadcast_to(attention[:1, :1], (2, 1, 5, 5)).copy())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.class_attention(rows(0, 2, 5).astype(np.float64)), "attention: dtype is float64"),
        (lambda: kernels.class_attention(rows(0, 2, 5)[0]), "attention: shape is (5,)"),
        (lambda: kernels.class_attention(rows(0, 2, 5).T), "attention: strides are"),
        (lambda: kernels.class_attention(rows(0, 2, 5)[:, :1].copy()), "attention.shape[1]: 1 is outside"),
        (lambda: kernels.rollout(rows(0, 2, 2, 5, 4)), "attention: shape is (2, 2, 5, 4)"),
        (lambda: kernels.rollout(rows(0, 2, 2, 4, 4), slice(2, 9)), "layers: slice(2, 9, None) picks none"),
    ],
)
def test_refusals_name_the_argument(call, message):
    """One line: argument, value, remedy."""
    with pytest.raises(ArgumentError) as error:
        call()

    assert str(error.value).startswith(message)
