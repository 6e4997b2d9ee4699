"""Tests of edge_runtime.codecs.patch_row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime import kernels
from edge_runtime.codecs import patch_row
from edge_runtime.errors import ArgumentError, PayloadError


def patches(count: int, side: int) -> np.ndarray:
    """Any pixels."""
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), np.uint8)


@given(st.integers(1, 30), st.integers(1, 40))
def test_raw_gives_back_every_byte(count, side):
    """Patch by patch."""
    sent = patches(count, side)

    assert np.array_equal(sent, patch_row.decode(patch_row.encode(sent, "raw", 1), count, side, "raw", 0))


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_a_better_quality_costs_more_and_errs_less(picture, codec):
    """Of the same patches."""
    sent = kernels.gather(picture, np.arange(40, 60, dtype=np.uint16), 16)
    bodies = [patch_row.encode(sent, codec, quality) for quality in (20, 90)]
    errors = [
        np.abs(patch_row.decode(body, 20, 16, codec, quality).astype(int) - sent).mean()
        for body, quality in zip(bodies, (20, 90), strict=True)
    ]

    assert len(bodies[0]) < len(bodies[1])
    assert errors[0] > errors[1]


@pytest.mark.parametrize(
    ("sent", "codec", "quality", "message"),
    [
        (patches(2, 4).astype(np.int64), "raw", 1, "patches: int64[2, 4, 4, 3] is not uint8[k, p, p, 3]"),
        (patches(2, 4)[:, :3], "raw", 1, "patches: uint8[2, 3, 4, 3] is not"),
        (patches(1, 4)[:0], "raw", 1, "patches: 0 of 4 pixels, send at least one"),
        (patches(1, 256), "raw", 1, "patches: 1 of 256 pixels, send at least one, at most 65535, of 1..255 pixels"),
        (patches(2, 4), "heif", 1, "codec: 'heif' is unknown, use one of raw, jpeg, webp"),
        (patches(2, 4), "jpeg", 101, "quality: 101 is outside 1..100"),
        (patches(1024, 16), "webp", 50, "patches: 1024 of 16 pixels are wider than the 16383 that 'webp' holds"),
    ],
)
def test_wrong_arguments_are_named(sent, codec, quality, message):
    """With what is right."""
    with pytest.raises(ArgumentError) as error:
        patch_row.encode(sent, codec, quality)

    assert str(error.value).startswith(message)


@pytest.mark.parametrize(("codec", "count"), [("jpeg", 4096), ("webp", 1024)])
def test_a_row_wider_than_its_codec_is_refused(codec, count):
    """Before the body is looked at, as no encoder writes one."""
    with pytest.raises(PayloadError, match=f"^patches: {count} of 16 pixels are wider"):
        patch_row.decode(bytes(100), count, 16, codec, 50)


def test_a_raw_body_of_another_length_is_refused():
    """It must hold exactly the patches."""
    with pytest.raises(PayloadError, match=r"^patches: raw body of 97 bytes, 2 patches have 96$"):
        patch_row.decode(bytes(97), 2, 4, "raw", 0)
