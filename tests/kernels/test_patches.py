"""Gather, scatter and the patch bitmap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError


def photo(height: int, width: int) -> np.ndarray:
    """Noise."""
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(deadline=None, max_examples=80)
@given(st.sampled_from([1, 3, 8, 16, 17]), st.integers(1, 5), st.integers(1, 5), st.data())
def test_gather_copies_the_pixels_of_each_patch(everywhere, patch, rows, columns, data):
    """In the order of the indices, repeats allowed, none allowed."""
    image = photo(rows * patch, columns * patch)
    drawn = data.draw(st.lists(st.integers(0, rows * columns - 1), max_size=30))

    actual = everywhere(lambda: kernels.gather(image, np.array(drawn, np.uint16), patch))

    assert actual.shape == (len(drawn), patch, patch, 3)
    for index, pixels in zip(drawn, actual, strict=True):
        top, left = index // columns * patch, index % columns * patch
        assert np.array_equal(image[top : top + patch, left : left + patch], pixels)


@pytest.mark.parametrize("side", [224, 384])
def test_scatter_undoes_gather(everywhere, side):
    """What was sent comes back, the rest of the picture stays."""
    image = photo(side, side)
    indices = kernels.select_random((side // 16) ** 2, 100, 1)
    patches = kernels.gather(image, indices)

    def restore():
        picture = np.zeros_like(image)
        kernels.scatter(patches, indices, picture)
        return picture

    restored = everywhere(restore)
    assert np.array_equal(patches, kernels.gather(restored, indices))
    assert np.count_nonzero(kernels.gather(restored, np.setdiff1d(np.arange(196, dtype=np.uint16), indices))) == 0


@settings(deadline=None, max_examples=80)
@given(st.sampled_from([1, 2, 3, 7, 8, 9, 15, 16, 17, 195, 196, 197, 576, 577]), st.data())
def test_bitmap_round_trip(everywhere, count, data):
    """Least significant bit first, as numpy packs."""
    chosen = sorted(data.draw(st.sets(st.integers(0, count - 1))))
    indices = np.array(chosen, np.uint16)

    bits = everywhere(lambda: kernels.pack_bitmap(indices, count))

    flags = np.zeros(count, np.uint8)
    flags[chosen] = 1
    assert np.array_equal(np.packbits(flags, bitorder="little"), bits)
    assert np.array_equal(indices, everywhere(lambda: kernels.unpack_bitmap(bits, count)))


@pytest.mark.parametrize("count", [1, 7, 9, 196])
@pytest.mark.usefixtures("each_backend")
def test_bits_beyond_the_last_patch_are_refused(count):
    """Padding must be zero, so that one selection has one bitmap."""
    bits = np.zeros((count + 7) // 8, np.uint8)
    bits[-1] = 0x80

    with pytest.raises(ArgumentError, match=f"^bits: last byte 0x80 sets bits beyond patch {count - 1}"):
        kernels.unpack_bitmap(bits, count)


@pytest.mark.parametrize("indices", [[3, 3], [4, 3]])
@pytest.mark.usefixtures("each_backend")
def test_a_bitmap_needs_ascending_indices(indices):
    """A repeat or a step back would be lost silently."""
    with pytest.raises(ArgumentError, match=r"^indices: not strictly ascending"):
        kernels.pack_bitmap(np.array(indices, np.uint16), 8)


@pytest.mark.usefixtures("each_backend")
def test_an_index_beyond_the_grid_is_refused():
    """By every kernel; scatter leaves the picture as it was."""
    image, indices = np.zeros((32, 32, 3), np.uint8), np.array([0, 4], np.uint16)

    for call in (
        lambda: kernels.gather(image, indices),
        lambda: kernels.scatter(np.ones((2, 16, 16, 3), np.uint8), indices, image),
        lambda: kernels.pack_bitmap(indices, 4),
    ):
        with pytest.raises(ArgumentError, match=r"^indices: 4 is outside 0\.\.3"):
            call()
    assert not image.any()


IMAGE, NONE = np.zeros((32, 32, 3), np.uint8), np.zeros(0, np.uint16)
FROZEN = IMAGE.copy()
FROZEN.flags.writeable = False


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.gather(IMAGE, NONE, 15), "image: 32 × 32 is not a multiple of patch 15"),
        (lambda: kernels.gather(IMAGE, NONE, 0), "patch: 0 is outside"),
        (lambda: kernels.gather(IMAGE, [0]), "indices: got list"),
        (lambda: kernels.gather(IMAGE, np.zeros(2, np.int64)), "indices: dtype is int64"),
        (lambda: kernels.gather(IMAGE, np.zeros(4, np.uint16)[::2]), "indices: strides are"),
        (lambda: kernels.gather(IMAGE[::-1], NONE), "image: strides are"),
        (lambda: kernels.gather(IMAGE, NONE, 16, np.empty((1, 16, 16, 3), np.uint8)), "out: shape is"),
        (lambda: kernels.scatter(IMAGE, NONE, IMAGE), "patches: shape is (32, 32, 3)"),
        (lambda: kernels.scatter(np.empty((0, 16, 8, 3), np.uint8), NONE, IMAGE), "patches: shape is"),
        (lambda: kernels.scatter(np.empty((0, 16, 16, 3), np.uint8), NONE, FROZEN), "image: read-only"),
        (lambda: kernels.pack_bitmap(NONE, 0), "count: 0 is outside"),
        (lambda: kernels.unpack_bitmap(np.zeros(2, np.uint8), 8), "bits: shape is (2,), need (1)"),
    ],
)
def test_refusals_name_the_argument(call, message):
    """One line: argument, value, remedy."""
    with pytest.raises(ArgumentError) as error:
        call()

    assert str(error.value).startswith(message)
