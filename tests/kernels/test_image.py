"""Resize, frame and normalise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError

SIDES = st.sampled_from([1, 2, 3, 15, 16, 17, 31, 64, 65, 100])
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noise, the hardest picture for a resampler."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pillow(image: np.ndarray, height: int, width: int, filter: str, box=None) -> np.ndarray:  # noqa: A002
    """Pillow's horizontal pass, then its vertical pass: one call may turn them round."""
    left, top, right, bottom = box or (0, 0, image.shape[1], image.shape[0])
    picture = Image.fromarray(image)
    narrow = picture.resize((width, image.shape[0]), FILTERS[filter], box=(left, 0, right, image.shape[0]))
    return np.asarray(narrow.resize((width, height), FILTERS[filter], box=(0, top, width, bottom)))


@settings(deadline=None, max_examples=60)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(sorted(FILTERS)))
def test_resize_has_pillows_bytes(everywhere, height, width, rows, columns, filter):  # noqa: A002
    """Any size, up or down, in every backend."""
    image = photo(height, width)

    actual = everywhere(lambda: kernels.resize(image, (rows, columns), filter=filter))

    assert np.array_equal(pillow(image, rows, columns, filter), actual)


@settings(deadline=None, max_examples=40)
@given(st.tuples(*[st.floats(0, 0.45)] * 2), st.tuples(*[st.floats(0.55, 1)] * 2), SIDES)
def test_resize_of_a_box_has_pillows_bytes(everywhere, low, high, side):
    """Fractional boxes too."""
    image = photo(50, 70)
    box = (low[0] * 70, low[1] * 50, high[0] * 70, high[1] * 50)

    actual = everywhere(lambda: kernels.resize(image, (side, side), box=box))

    assert np.array_equal(pillow(image, side, side, "bicubic", box), actual)


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 375), (224, 224), (768, 512), (161, 241)])
def test_one_call_of_pillow_agrees_when_the_shape_is_kept(height, width):
    """The everyday case, whatever the version of Pillow."""
    image = photo(height, width)
    rows, columns = round(height * 0.6), round(width * 0.6)

    expected = np.asarray(Image.fromarray(image).resize((columns, rows), FILTERS["bicubic"]))

    assert np.array_equal(expected, kernels.resize(image, (rows, columns)))


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 375), (256, 256), (90, 300), (257, 255)])
def test_frame_is_resize_then_centre_crop(everywhere, height, width):
    """The bytes of resizing the whole photo and cropping, with torchvision's rounding."""
    image = photo(height, width)
    shorter = min(height, width)
    rows, columns = int(256 * height / shorter), int(256 * width / shorter)
    top, left = round((rows - 224) / 2), round((columns - 224) / 2)
    whole = pillow(image, rows, columns, "bicubic")

    actual = everywhere(lambda: kernels.frame(image, kernels.Geometry(224, 256)))

    assert np.array_equal(whole[top : top + 224, left : left + 224], actual)


def test_frame_without_resize_stretches_the_photo():
    """The whole photo, its shape given up."""
    image = photo(30, 50)

    assert np.array_equal(kernels.resize(image, (24, 24)), kernels.frame(image, kernels.Geometry(24)))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (17, 15), (224, 224)])
def test_normalise_is_the_rounded_quotient(everywhere, height, width):
    """(x − mean) / std in double, rounded to float32, channels first."""
    image = photo(height, width)
    mean = np.array([123.675, 116.28, 103.53], np.float32)
    std = np.array([58.395, 57.12, 57.375], np.float32)
    expected = ((image.astype(np.float64) - mean) / std).astype(np.float32).transpose(2, 0, 1)

    assert np.array_equal(expected, everywhere(lambda: kernels.normalise(image, mean, std)))


@pytest.mark.usefixtures("each_backend")
def test_normalise_writes_into_out():
    """The given array is filled and returned."""
    out = np.empty((3, 4, 4), np.float32)
    ones = np.ones(3, np.float32)

    assert kernels.normalise(photo(4, 4), ones, ones, out) is out


IMAGE = photo(8, 8)
ONES = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.resize([[1]], (1, 1)), "image: got list"),
        (lambda: kernels.resize(IMAGE.astype(np.float32), (1, 1)), "image: dtype is float32"),
        (lambda: kernels.resize(IMAGE[:, :, 0], (1, 1)), "image: shape is (8, 8)"),
        (lambda: kernels.resize(IMAGE[:, ::2], (1, 1)), "image: strides are"),
        (lambda: kernels.resize(IMAGE[:0], (1, 1)), "image: shape is (0, 8, 3)"),
        (lambda: kernels.resize(IMAGE, (0, 1)), "size[0]: 0 is outside"),
        (lambda: kernels.resize(IMAGE, (1, 1 << 20)), "size[1]: 1048576 is outside"),
        (lambda: kernels.resize(IMAGE, (1, 1.5)), "size[1]: got 1.5"),
        (lambda: kernels.resize(IMAGE, (1, 1), filter="lanczos"), "filter: 'lanczos' is unknown"),
        (lambda: kernels.resize(IMAGE, (1, 1), box=(0, 0, 9, 8)), "box: (0, 0, 9, 8) does not lie"),
        (lambda: kernels.resize(IMAGE, (1, 1), box=(4, 0, 4, 8)), "box: (4, 0, 4, 8) does not lie"),
        (lambda: kernels.resize(IMAGE, (1, 1), box=(0, 0, float("nan"), 8)), "box: (0, 0, nan, 8)"),
        (lambda: kernels.Geometry(224, 200), "resize: 200 is outside 224.."),
        (lambda: kernels.Geometry(interpolation="nearest"), "interpolation: 'nearest' is unknown"),
        (lambda: kernels.normalise(IMAGE, [0, 0, 0], ONES), "mean: got list"),
        (lambda: kernels.normalise(IMAGE, ONES, 0 * ONES), "mean, std:"),
        (lambda: kernels.normalise(IMAGE, ONES * np.nan, ONES), "mean, std:"),
        (lambda: kernels.normalise(IMAGE, ONES, ONES, np.empty((8, 8, 3), np.float32)), "out: shape is"),
    ],
)
def test_refusals_name_the_argument(call, message):
    """One line: argument, value, remedy."""
    with pytest.raises(ArgumentError) as error:
        call()

    assert str(error.value).startswith(message)


def test_read_only_out_is_refused():
    """Before anything is written."""
    out = np.empty((3, 8, 8), np.float32)
    out.flags.writeable = False

    with pytest.raises(ArgumentError, match="out: read-only"):
        kernels.normalise(IMAGE, ONES, ONES, out)
