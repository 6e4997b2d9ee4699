"""Tests of edge_runtime.codecs.image."""

from __future__ import annotations

import contextlib
import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge_runtime.codecs import image
from edge_runtime.errors import ArgumentError, PayloadError


def file(pixels: np.ndarray, form: str, **options: object) -> bytes:
    """A picture file that our own encoder would not write."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


class TestRoundTrip:
    """What goes in comes out."""

    def test_png_gives_back_every_pixel(self, picture):
        """PNG is lossless."""
        assert np.array_equal(picture, image.decode(image.encode(picture, "png"), 224))

    @pytest.mark.parametrize("codec", ["jpeg", "webp"])
    def test_lossy_codecs_stay_close(self, picture, codec):
        """At quality 90 the mean error is below two grey levels."""
        decoded = image.decode(image.encode(picture, codec, 90), 224)

        assert np.uint8 == decoded.dtype
        assert picture.shape == decoded.shape
        assert np.abs(decoded.astype(int) - picture).mean() < 2

    @pytest.mark.parametrize("codec", ["jpeg", "webp", "png"])
    @pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 17), (33, 2)])
    def test_awkward_sizes_survive(self, picture, codec, height, width):
        """Sides need not be multiples of anything."""
        pixels = np.ascontiguousarray(picture[:height, :width])

        assert pixels.shape == image.decode(image.encode(pixels, codec), 64).shape

    def test_lower_quality_is_smaller(self, picture):
        """Quality reaches the encoder."""
        assert len(image.encode(picture, "jpeg", 30)) < len(image.encode(picture, "jpeg", 90))


class TestArguments:
    """Wrong arguments are named."""

    def test_float_pixels(self, picture):
        """A wrong dtype is named."""
        with pytest.raises(ArgumentError, match=r"pixels: float64\[224, 224, 3\]"):
            image.encode(picture.astype(float))

    def test_unknown_codec(self, picture):
        """The codecs that exist are listed."""
        with pytest.raises(ArgumentError, match="'gif' is unknown, use one of jpeg, webp, png"):
            image.encode(picture, "gif")

    @pytest.mark.parametrize("quality", [0, 101])
    def test_quality_out_of_range(self, picture, quality):
        """Quality is 1..100 for every codec."""
        with pytest.raises(ArgumentError, match=f"quality: {quality}"):
            image.encode(picture, "webp", quality)


class TestMalformed:
    """Bytes that are no acceptable picture."""

    @pytest.mark.parametrize("codec", ["jpeg", "webp", "png"])
    def test_larger_than_allowed(self, picture, codec):
        """A picture beyond the allowed side is refused by its header."""
        with pytest.raises(PayloadError, match="224 × 224 is larger than 223 × 223"):
            image.decode(image.encode(picture, codec), 223)

    def test_png_bomb(self):
        """A header that claims 2 gigapixels costs nothing: no pixel is decoded, no warning escapes."""
        bomb = bytearray(file(np.zeros((1, 1, 3), np.uint8), "PNG"))
        bomb[16:24] = (40000).to_bytes(4, "big") * 2
        bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")

        with pytest.raises(PayloadError):
            image.decode(bytes(bomb), 224)

    def test_webp_bomb(self, picture):
        """A WebP header that claims the largest canvas is refused before Pillow opens it."""
        bomb = bytearray(image.encode(picture, "webp"))
        bomb[26:30] = b"\xff\x3f\xff\x3f"

        with pytest.raises(PayloadError, match="16383 × 16383 is larger"):
            image.decode(bytes(bomb), 224)

    @pytest.mark.parametrize("codec", ["jpeg", "webp", "png"])
    def test_cut_in_the_middle(self, picture, codec):
        """Half a file is an error, not half a picture."""
        data = image.encode(picture, codec)

        with pytest.raises(PayloadError):
            image.decode(data[: len(data) // 2], 224)

    @pytest.mark.parametrize("codec", ["jpeg", "webp", "png"])
    def test_cut_inside_the_header(self, picture, codec):
        """A few bytes of header are an error."""
        with pytest.raises(PayloadError):
            image.decode(image.encode(picture, codec)[:10], 224)

    def test_empty(self):
        """No bytes are no picture."""
        with pytest.raises(PayloadError, match="0 bytes do not decode"):
            image.decode(b"", 224)

    def test_grey_jpeg(self, picture):
        """Only RGB is accepted; the line says what came."""
        with pytest.raises(PayloadError, match="mode L is not accepted"):
            image.decode(file(np.ascontiguousarray(picture[:, :, 0]), "JPEG"), 224)

    def test_webp_with_alpha(self, picture):
        """The extended WebP form is refused."""
        rgba = np.dstack((picture, picture[:, :, 0]))

        with pytest.raises(PayloadError, match="only the simple lossy WebP"):
            image.decode(file(rgba, "WEBP"), 224)

    def test_lossless_webp(self, picture):
        """The lossless WebP form is refused."""
        with pytest.raises(PayloadError, match="only the simple lossy WebP"):
            image.decode(file(picture, "WEBP", lossless=True), 224)

    def test_gif(self, picture):
        """Formats that were not asked for never reach their decoder."""
        with pytest.raises(PayloadError):
            image.decode(file(picture, "GIF"), 224)


class TestProperties:
    """Whatever the bytes."""

    @given(data=st.binary(max_size=200))
    def test_any_bytes(self, data):
        """Random bytes decode or raise PayloadError, nothing else."""
        with contextlib.suppress(PayloadError):
            image.decode(data, 64)

    @given(codec=st.sampled_from(["jpeg", "webp", "png"]), at=st.integers(0, 10_000), value=st.integers(0, 255))
    def test_any_changed_byte(self, picture, codec, at, value):
        """A file with one byte changed decodes or raises PayloadError, nothing else."""
        data = bytearray(image.encode(np.ascontiguousarray(picture[:32, :48]), codec))
        data[at % len(data)] = value
        with contextlib.suppress(PayloadError):
            assert max(image.decode(bytes(data), 64).shape) <= 64
