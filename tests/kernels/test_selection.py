"""Random, top-k, threshold and cumulative-sum selection."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError

SIZES = [1, 2, 3, 15, 16, 17, 195, 196, 197, 576, 577]
# Few levels make ties, tiny values fall out of the fixed point, both signs of zero must be equal.
SCORE = st.one_of(st.sampled_from([0.0, -0.0, 2**-149, 2**-40, 2**-32, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32))
SCORES = arrays(np.float32, st.integers(1, 60), elements=SCORE)


def shares(count: int) -> np.ndarray:
    """Realistic scores."""
    return np.random.default_rng(count).dirichlet(np.full(count, 0.7)).astype(np.float32)


def best_first(scores: np.ndarray) -> list[int]:
    """Highest score first, ties by index."""
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))


def by_sum(scores: np.ndarray, delta: float, include_crossing: bool) -> list[int]:
    """The rule in exact arithmetic on the fixed-point weights."""
    weights = [int(float(score) * 2**32) for score in scores]
    target = Fraction(delta * float(sum(weights)))
    kept, reached = [], 0
    for index in best_first(scores):
        reached += weights[index]
        if reached > target:
            kept += [index] if include_crossing or not kept else []
            break
        kept.append(index)
    return sorted(kept)


@settings(deadline=None, max_examples=150)
@given(SCORES, st.floats(0, 1), st.booleans())
def test_sum_keeps_the_best_until_delta_is_exceeded(everywhere, scores, delta, include_crossing):
    """The crossing patch kept or not, never none."""
    actual = everywhere(lambda: kernels.select_sum(scores, delta, include_crossing))

    assert by_sum(scores, delta, include_crossing) == actual.tolist()


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("delta", [0.0, 0.5, 0.97, 1.0])
def test_sum_at_awkward_sizes(everywhere, count, delta):
    """The same rule at the sizes of real grids and beside them."""
    scores = shares(count)

    assert by_sum(scores, delta, True) == everywhere(lambda: kernels.select_sum(scores, delta)).tolist()


@pytest.mark.parametrize("score", [0.0, 1e-20, 1.0])
def test_sum_of_equal_scores_takes_the_lowest_indices(everywhere, score):
    """65536 ties are no special case; scores too small to weigh are all kept."""
    scores = np.full(65536, score, np.float32)

    kept = everywhere(lambda: kernels.select_sum(scores, 0.5))

    assert np.array_equal(np.arange(32769 if score == 1 else 65536), kept)


def test_delta_one_keeps_every_patch(everywhere):
    """The sum of all is never exceeded."""
    assert len(everywhere(lambda: kernels.select_sum(shares(196), 1.0))) == 196


@pytest.mark.parametrize("include_crossing", [True, False])
def test_a_first_patch_that_crosses_is_kept_anyway(everywhere, include_crossing):
    """Never zero patches."""
    scores = np.array([0.1, 0.9], np.float32)

    assert everywhere(lambda: kernels.select_sum(scores, 0.5, include_crossing)).tolist() == [1]


@settings(deadline=None, max_examples=100)
@given(SCORES, st.data())
def test_top_k_is_the_k_best(everywhere, scores, data):
    """Ties by index, result ascending."""
    k = data.draw(st.integers(1, len(scores)))

    assert sorted(best_first(scores)[:k]) == everywhere(lambda: kernels.select_top_k(scores, k)).tolist()


@settings(deadline=None, max_examples=100)
@given(SCORES, st.floats(0, 1))
def test_threshold_keeps_scores_of_at_least_delta(everywhere, scores, delta):
    """And the best one when there is none."""
    expected = [i for i, score in enumerate(scores) if float(score) >= delta] or best_first(scores)[:1]

    assert expected == everywhere(lambda: kernels.select_threshold(scores, delta)).tolist()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 600), st.integers(0, 2**32 - 1), st.data())
def test_random_picks_k_different_patches(everywhere, count, seed, data):
    """Ascending, in range, the same in every backend."""
    k = data.draw(st.integers(1, count))

    kept = everywhere(lambda: kernels.select_random(count, k, seed))

    assert len(kept) == k
    assert (np.diff(kept.astype(int)) > 0).all()
    assert kept[-1] < count


def test_random_is_fixed_by_its_seed():
    """A golden set: it may never change."""
    assert kernels.select_random(20, 5, 7).tolist() == [2, 6, 9, 12, 18]


def test_random_picks_every_patch_equally_often():
    """Within five standard deviations over 2000 seeds."""
    counts = sum(np.bincount(kernels.select_random(16, 4, seed), minlength=16) for seed in range(2000))

    assert abs(counts - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e-9, 1.0000001])
@pytest.mark.usefixtures("each_backend")
def test_scores_outside_one_are_refused(bad):
    """Wherever they stand, by every rule."""
    scores = shares(17)
    scores[16] = bad

    for call in (
        lambda: kernels.select_top_k(scores, 2),
        lambda: kernels.select_threshold(scores, 0.1),
        lambda: kernels.select_sum(scores, 0.9),
    ):
        with pytest.raises(ArgumentError, match=r"^scores: .* at index 16 is outside 0\.\.1"):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.select_random(0, 1, 0), "count: 0 is outside"),
        (lambda: kernels.select_random(65537, 1, 0), "count: 65537 is outside"),
        (lambda: kernels.select_random(5, 6, 0), "k: 6 is outside 1..5"),
        (lambda: kernels.select_random(5, 2, -1), "seed: -1 is outside"),
        (lambda: kernels.select_top_k(shares(4), 0), "k: 0 is outside 1..4"),
        (lambda: kernels.select_top_k(shares(4), True), "k: got True"),
        (lambda: kernels.select_top_k(shares(4).astype(np.float64), 1), "scores: dtype is float64"),
        (lambda: kernels.select_top_k(shares(4)[::2], 1), "scores: strides are"),
        (lambda: kernels.select_threshold(shares(4), float("nan")), "delta: nan is outside 0..1"),
        (lambda: kernels.select_sum(shares(4), 1.5), "delta: 1.5 is outside 0..1"),
        (lambda: kernels.select_sum(np.zeros(65537, np.float32), 0.5), "len(scores): 65537 is outside"),
    ],
)
def test_refusals_name_the_argument(call, message):
    """One line: argument, value, remedy."""
    with pytest.raises(ArgumentError) as error:
        call()

    assert str(error.value).startswith(message)
