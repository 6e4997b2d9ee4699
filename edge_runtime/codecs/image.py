"""Payload ``image``: the whole frame as an ordinary JPEG, WebP or PNG file (docs/formats/image.md)."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from PIL import Image

from edge_runtime.codecs import webp
from edge_runtime.errors import ArgumentError, PayloadError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ImageCodec = Literal["jpeg", "webp", "png"]


def encode(pixels: NDArray[np.uint8], codec: ImageCodec = "jpeg", quality: int = 75) -> bytes:
    """Compress uint8 ``[height, width, 3]``, RGB, to a file.

    ``quality`` is 1..100 for jpeg and webp; png is lossless and ignores it. Raises ArgumentError.
    """
    check_pixels(pixels)
    if codec not in get_args(ImageCodec):
        raise ArgumentError(f"codec: {codec!r} is unknown, use one of {', '.join(get_args(ImageCodec))}")
    if not 1 <= quality <= 100:
        raise ArgumentError(f"quality: {quality} is outside 1..100")
    options: dict[ImageCodec, dict[str, object]] = {
        "jpeg": {"quality": quality, "subsampling": "4:2:0"},
        "webp": {"quality": quality, "method": 4},
        "png": {},
    }
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, codec.upper(), **options[codec])
    return out.getvalue()


def decode(data: bytes, max_side: int) -> NDArray[np.uint8]:
    """Decompress a file to uint8 ``[height, width, 3]``, RGB, possibly read-only.

    The size in the file's header is checked before any pixel is decoded. Raises PayloadError for a side beyond
    ``max_side`` pixels, for anything but 8-bit RGB, and for bytes that are not a JPEG, PNG or lossy WebP.
    """
    if data[:4] == b"RIFF":
        # Pillow sets up the whole canvas of a WebP when it opens one, so its size is read here first.
        return _decode_webp(data, max_side)
    try:
        # The size is checked below; Pillow's own bomb warning would only say it less precisely.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=["JPEG", "PNG"])
        with image:
            _check_size(image.width, image.height, max_side)
            if image.mode != "RGB":
                raise PayloadError(f"image: mode {image.mode} is not accepted, convert to 8-bit RGB")
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PayloadError(f"image: {len(data)} bytes do not decode: {error}") from None


def check_pixels(pixels: NDArray[np.uint8]) -> None:
    """Raise ArgumentError unless ``pixels`` is uint8 ``[height, width, 3]`` with at least one pixel."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ArgumentError(f"pixels: {pixels.dtype}{list(pixels.shape)} is not uint8[height, width, 3]")


def _decode_webp(data: bytes, max_side: int) -> NDArray[np.uint8]:
    if len(data) < webp.ENVELOPE.size:
        raise PayloadError(f"image: WebP header has {len(data)} of {webp.ENVELOPE.size} bytes")
    _, _, form, chunk, length = webp.ENVELOPE.unpack_from(data)
    if form != b"WEBP" or chunk != b"VP8 ":
        raise PayloadError("image: only the simple lossy WebP form is accepted, without alpha or metadata")
    frame = data[webp.ENVELOPE.size :]
    if len(frame) - length not in (0, 1):
        raise PayloadError(f"image: WebP header announces {length} bytes, {len(frame)} follow")
    width, height = webp.size(frame)
    _check_size(width, height, max_side)
    return webp.decode(frame[:length], width, height)


def _check_size(width: int, height: int, max_side: int) -> None:
    if max(width, height) > max_side:
        raise PayloadError(f"image: {width} × {height} is larger than {max_side} × {max_side}, send a smaller one")
