"""Sampling from a seed alone: random, and along a quadtree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError
from edge_runtime.kernels.interface import Status

GRID = (14, 14)
SEED = st.integers(0, 2**32 - 1)
EVEN = ("grid", "jittered-grid")
# Small ones, the usual squares, and anything up to the largest.
SIDE = st.one_of(st.integers(1, 20), st.integers(1, 256))


@settings(deadline=None, max_examples=100)
@given(SIDE, SIDE, SEED, st.sampled_from(kernels.PATTERNS), st.data())
def test_k_different_patches_of_the_grid(everywhere, rows, columns, seed, pattern, data):
    """Ascending, in range, the same in every backend, whatever the grid."""
    k = data.draw(st.integers(1, rows * columns))

    kept = everywhere(lambda: kernels.sample(pattern, (rows, columns), k, seed))

    assert kept.dtype == np.uint16
    assert len(kept) == k
    assert (np.diff(kept.astype(int)) > 0).all()
    assert kept[-1] < rows * columns


@pytest.mark.parametrize("grid", [(1, 1), (1, 256), (256, 1), (256, 256)])
@pytest.mark.parametrize("pattern", kernels.PATTERNS)
def test_every_patch_is_all_of_them(everywhere, grid, pattern):
    """At the corners of what is allowed."""
    count = grid[0] * grid[1]

    assert np.array_equal(np.arange(count), everywhere(lambda: kernels.sample(pattern, grid, count, 1)))


@pytest.mark.parametrize(
    ("pattern", "grid", "k", "seed", "expected"),
    [
        ("random", GRID, 9, 0, [27, 37, 42, 47, 65, 70, 88, 95, 187]),
        ("random", (3, 5), 4, 7, [2, 6, 9, 12]),
        ("grid", GRID, 9, 0, [28, 32, 36, 40, 84, 92, 144, 148, 152]),
        ("grid", GRID, 9, 2**32 - 1, [1, 9, 13, 61, 69, 113, 121, 173, 181]),
        ("grid", (1, 200), 5, 1, [1, 65, 97, 129, 193]),
        ("jittered-grid", GRID, 9, 0, [35, 43, 92, 101, 117, 138, 169, 192, 195]),
        ("jittered-grid", GRID, 9, 2**32 - 1, [1, 9, 21, 74, 97, 109, 156, 162, 168]),
        ("jittered-grid", (1, 200), 5, 1, [9, 117, 121, 150, 169]),
    ],
)
def test_golden_sets(everywhere, pattern, grid, k, seed, expected):
    """They may never change: the other end of the link draws them for itself."""
    assert everywhere(lambda: kernels.sample(pattern, grid, k, seed)).tolist() == expected


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 20), st.integers(1, 20), SEED, st.sampled_from(EVEN))
def test_more_patches_hold_the_fewer(rows, columns, seed, pattern):
    """With one seed, k patches are among k + 1."""
    before: set[int] = set()
    for k in range(1, rows * columns + 1):
        kept = set(kernels.sample(pattern, (rows, columns), k, seed).tolist())
        assert before < kept
        before = kept


@given(SEED, st.sampled_from(EVEN))
def test_a_quarter_is_one_of_every_four(seed, pattern):
    """At 49 of 14 × 14, each cell of 2 × 2 patches gives one."""
    rows, columns = np.divmod(kernels.sample(pattern, GRID, 49, seed), 14)

    assert set(zip((rows // 2).tolist(), (columns // 2).tolist(), strict=True)) == set(np.ndindex(7, 7))


def test_the_plain_grid_has_one_place_in_every_cell():
    """Where the jittered one has all four."""
    places = {
        pattern: {(index // 14 % 2, index % 2) for index in kernels.sample(pattern, GRID, 49, 3).tolist()}
        for pattern in EVEN
    }

    assert len(places["grid"]) == 1
    assert len(places["jittered-grid"]) == 4


@pytest.mark.parametrize("k", [9, 25, 49, 98])
@pytest.mark.parametrize("pattern", ["random", "jittered-grid"])
def test_each_patch_comes_equally_often(pattern, k):
    """Within five standard deviations over 4000 seeds, though the quadtree is wider than this grid."""
    counts = sum(np.bincount(kernels.sample(pattern, GRID, k, seed), minlength=196) for seed in range(4000))
    share = k / 196

    assert abs(counts - 4000 * share).max() < 5 * np.sqrt(4000 * share * (1 - share))


@pytest.mark.parametrize(("rows", "columns", "k"), [(0, 4, 0), (257, 1, 1), (1, 257, 1), (4, 4, 17)])
def test_the_c_kernel_checks_sizes_itself(rows, columns, k):
    """For callers that are not Python."""
    native = pytest.importorskip("edge_runtime.kernels.native", reason="the compiled module is not built")

    assert native.sample_grid(rows, columns, k, 0, True, np.empty(300, np.uint16)) == Status.BAD_SIZE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("grid", (0, 14), 1, 0), "grid rows: 0 is outside 1..256"),
        (("grid", (14, 257), 1, 0), "grid columns: 257 is outside 1..256"),
        (("grid", GRID, 197, 0), "k: 197 is outside 1..196"),
        (("grid", GRID, 0, 0), "k: 0 is outside 1..196"),
        (("grid", GRID, 1, 2**32), "seed: 4294967296 is outside"),
        (("spiral", GRID, 1, 0), "pattern: 'spiral' is unknown, use one of random, grid, jittered-grid"),
    ],
)
def test_refusals_name_the_argument(arguments, message):
    """One line: argument, value, remedy."""
    with pytest.raises(ArgumentError) as error:
        kernels.sample(*arguments)

    assert str(error.value).startswith(message)
