"""What a practitioner would compress feature maps with, and our codec, behind one interface.

A codec is made for one shape, which both sides know; everything else that a receiver needs is in the bytes. Settings
run from coarse to fine. Every rival is built as favourably as its library allows: whole values quantised around an
exact zero, no containers where raw streams exist, float16 headers.
"""

from __future__ import annotations

import importlib.util
import io
import struct
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import blosc2
import lz4.block
import numpy as np
import simplejpeg
import zfpy
import zstandard
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

Map: TypeAlias = "NDArray[np.float32]"
Shape: TypeAlias = tuple[int, int, int]
OURS = "FF"
QUALITIES = range(1, 101)
BLOCK = 8
# Steps over a uniform quantiser's range, eight settings to the bit.
STEPS = [2 ** (place / 8) for place in range(64)]


class Codec(ABC):
    """One way of turning a feature map into bytes and back."""

    name: str
    settings: Sequence[Any]

    @abstractmethod
    def encode(self, features: Map, setting: Any) -> bytes:
        """Compress ``features`` at one of ``settings``."""

    @abstractmethod
    def decode(self, data: bytes) -> Map:
        """Undo ``encode``, up to its error."""

    def choose(self, features: Map, budget: int) -> Any | None:
        """The setting that the codec's own rate control takes for ``budget`` bytes; None where it has none."""
        del features, budget
        return None


class FeatureFormat(Codec):
    """FF, ours: tables fitted once per cut, and a rate control of its own."""

    name = OURS
    settings = range(101)

    def __init__(self, tables: bytes) -> None:
        from edge_runtime.codecs.features import FeatureCodec

        self._codec = FeatureCodec.load(tables)

    def encode(self, features: Map, setting: Any) -> bytes:
        """Compress at quality ``setting``."""
        return bytes(self._codec.encode(features, setting))

    def decode(self, data: bytes) -> Map:
        """The decoded map."""
        return np.asarray(self._codec.decode(data), np.float32)

    def choose(self, features: Map, budget: int) -> int:
        """The quality of what `FeatureCodec.encode_within` makes."""
        from edge_runtime.codecs.features import inspect

        return int(inspect(self._codec.encode_within(features, budget))["quality"])


class Uniform(Codec):
    """Levels of equal width, zero one of them, several to a byte where they fit, behind a lossless compressor."""

    settings = STEPS
    _header = struct.Struct("<fBB")

    def __init__(
        self, shape: Shape, name: str, squeeze: Callable[[bytes], bytes], expand: Callable[[bytes, int], bytes]
    ) -> None:
        self.name = f"uniform + {name}"
        self._shape, self._squeeze, self._expand = shape, squeeze, expand

    def encode(self, features: Map, setting: Any) -> bytes:
        """Compress with a step of 1/`setting` of the map's range, zero in it."""
        low, high = min(float(features.min()), 0.0), max(float(features.max()), 0.0)
        step = (high - low) / setting or 1.0
        zero, last = round(-low / step), round(-low / step) + round(high / step)
        levels = features * np.float32(1 / step)
        levels += np.float32(zero + 0.5)
        np.clip(levels, 0, last, out=levels)
        packed = _pack(levels.astype(np.uint8).reshape(-1), last)
        return self._header.pack(step, zero, last) + self._squeeze(packed.tobytes())

    def decode(self, data: bytes) -> Map:
        """Levels back to values."""
        step, zero, last = self._header.unpack_from(data)
        count = int(np.prod(self._shape))
        packed = self._expand(data[self._header.size :], -(-count // _per_byte(last)))
        levels = _unpack(np.frombuffer(packed, np.uint8), count, last)
        features = levels.astype(np.float32)
        features -= np.float32(zero)
        features *= np.float32(step)
        return features.reshape(self._shape)


def _per_byte(last: int) -> int:
    """How many levels of 0..`last` one byte holds."""
    return 8 // max(last.bit_length(), 1)


def _pack(levels: NDArray[np.uint8], last: int) -> NDArray[np.uint8]:
    share = _per_byte(last)
    if share == 1:
        return levels
    padded = np.pad(levels, (0, -len(levels) % share))
    packed = padded[::share].copy()
    for place in range(1, share):
        packed |= padded[place::share] << np.uint8(place * (8 // share))
    return packed


def _unpack(packed: NDArray[np.uint8], count: int, last: int) -> NDArray[np.uint8]:
    share = _per_byte(last)
    if share == 1:
        return packed
    bits = 8 // share
    levels = np.empty(len(packed) * share, np.uint8)
    for place in range(share):
        np.bitwise_and(packed >> np.uint8(place * bits), np.uint8(2**bits - 1), out=levels[place::share])
    return levels[:count]


def _zstd() -> tuple[Callable[[bytes], bytes], Callable[[bytes, int], bytes]]:
    writer = zstandard.ZstdCompressor(level=1, write_content_size=False)
    reader = zstandard.ZstdDecompressor()
    return writer.compress, lambda data, size: reader.decompress(data, max_output_size=size)


def _blosc(data: bytes) -> bytes:
    options = {"codec": blosc2.Codec.ZSTD, "clevel": 1, "typesize": 1, "filters": [blosc2.Filter.BITSHUFFLE]}
    return bytes(blosc2.compress2(data, **options, nthreads=1))


class Zfp(Codec):
    """zfp without a header, its parameter prefixed.

    In blocks of the box (the better layout at a fixed rate and for few bytes) or of planes one above the other.
    """

    def __init__(self, shape: Shape, mode: str, *, planes: bool = False) -> None:
        self.name = f"zfp {mode}" + (" planes" if planes else "")
        self._shape, self._accurate = shape, mode == "accuracy"
        self._laid = (shape[0] * shape[1], shape[2]) if planes else shape
        # Tolerances count as powers of two; rates of less than 10 bits per block of 64 do not exist.
        self.settings = range(-8, 17) if self._accurate else range(10, 16 * 64 + 1)

    def _options(self, setting: int) -> dict[str, float]:
        return {"tolerance": 2.0**-setting} if self._accurate else {"rate": setting / 64}

    def encode(self, features: Map, setting: Any) -> bytes:
        """Compress with tolerance 2^-setting, or at setting/64 bits per value."""
        stream = zfpy.compress_numpy(features.reshape(self._laid), write_header=False, **self._options(setting))
        return struct.pack("<h", setting) + stream

    def decode(self, data: bytes) -> Map:
        """The values zfp kept."""
        (setting,) = struct.unpack_from("<h", data)
        values = zfpy._decompress(data[2:], zfpy.type_float, self._laid, **self._options(setting))
        return np.asarray(values, np.float32).reshape(self._shape)


class Tiles(Codec):
    """Channels side by side in one 8-bit grey picture, given to a picture codec; small ones fill a block of 8 × 8 each.

    Larger tiles are not aligned to blocks: measured, that costs more bytes than it saves.
    """

    settings = QUALITIES

    def __init__(
        self,
        shape: Shape,
        name: str,
        write: Callable[[NDArray[np.uint8], int], bytes],
        read: Callable[[bytes], NDArray[np.uint8]],
        *,
        per_channel: bool = False,
    ) -> None:
        self.name = f"{name} tiles" + (" per channel" if per_channel else "")
        self._shape, self._write, self._read = shape, write, read
        self._tile = max(shape[1], BLOCK), max(shape[2], BLOCK)
        self._axes = (1, 2) if per_channel else (0, 1, 2)
        self._ranges = shape[0] if per_channel else 1
        self._columns = int(np.ceil(np.sqrt(shape[0])))
        self._rows = -(-shape[0] // self._columns)

    def encode(self, features: Map, setting: Any) -> bytes:
        """Compress at quality ``setting``."""
        ranges = np.stack([features.min(self._axes), features.max(self._axes)]).astype(np.float16)
        low, width = self._scale(ranges)
        levels = features - low
        levels *= 255 / width
        levels += np.float32(0.5)
        np.clip(levels, 0, 255, out=levels)
        return ranges.tobytes() + self._write(self._mosaic(levels.astype(np.uint8)), setting)

    def decode(self, data: bytes) -> Map:
        """Tiles back to values."""
        size = 4 * self._ranges
        low, width = self._scale(np.frombuffer(data[:size], np.float16).reshape(2, -1))
        features = self._cut(self._read(data[size:])).astype(np.float32)
        features *= width / 255
        features += low
        return features

    def _scale(self, ranges: NDArray[np.float16]) -> tuple[Map, Map]:
        low, high = ranges.astype(np.float32).reshape(2, -1, 1, 1)
        return low, np.where(high > low, high - low, np.float32(1))

    def _mosaic(self, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        channels, height, width = self._shape
        spare = self._rows * self._columns - channels, self._tile[0] - height, self._tile[1] - width
        tiles = np.pad(levels, [(0, more) for more in spare], mode="edge") if any(spare) else levels
        grid = tiles.reshape(self._rows, self._columns, *self._tile).swapaxes(1, 2)
        return grid.reshape(self._rows * self._tile[0], self._columns * self._tile[1])

    def _cut(self, mosaic: NDArray[np.uint8]) -> NDArray[np.uint8]:
        channels, height, width = self._shape
        grid = mosaic.reshape(self._rows, self._tile[0], self._columns, self._tile[1]).swapaxes(1, 2)
        return grid.reshape(-1, *self._tile)[:channels, :height, :width]


def _turbo(mosaic: NDArray[np.uint8], quality: int) -> bytes:
    return bytes(simplejpeg.encode_jpeg(mosaic[..., None], quality, colorspace="GRAY", colorsubsampling="Gray"))


def _read_turbo(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(simplejpeg.decode_jpeg(data, colorspace="GRAY"))[..., 0]


def _pillow(pixels: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def _optimised(pixels: NDArray[np.uint8], quality: int) -> bytes:
    return _pillow(pixels, "JPEG", quality=quality, optimize=True)


def _webp(pixels: NDArray[np.uint8], quality: int) -> bytes:
    return _pillow(pixels, "WEBP", quality=quality, method=0)


def _read_webp(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[..., 1]


class Photo(Codec):
    """The input photo instead of features: uint8 pixels ``[H, W, 3]`` both ways."""

    settings = QUALITIES

    def __init__(self, name: str, write: Callable[[NDArray[np.uint8], int], bytes]) -> None:
        self.name, self._write = f"photo {name}", write

    def encode(self, features: Any, setting: Any) -> bytes:
        """Compress pixels at quality ``setting``."""
        return self._write(features, setting)

    def decode(self, data: bytes) -> Any:
        """The pixels."""
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def rivals(shape: Shape) -> list[Codec]:
    """Every existing compressor, for maps of ``shape``."""
    return [
        Uniform(shape, "zstd-1", *_zstd()),
        Uniform(shape, "zlib-6", lambda data: zlib.compress(data, 6), lambda data, _: zlib.decompress(data)),
        Uniform(
            shape,
            "lz4",
            lambda data: bytes(lz4.block.compress(data, store_size=False)),
            lambda data, size: bytes(lz4.block.decompress(data, uncompressed_size=size)),
        ),
        Uniform(shape, "blosc2 zstd-1", _blosc, lambda data, _: bytes(blosc2.decompress2(data, nthreads=1))),
        Zfp(shape, "accuracy"),
        Zfp(shape, "accuracy", planes=True),
        Zfp(shape, "rate"),
        Tiles(shape, "JPEG", _turbo, _read_turbo),
        Tiles(shape, "JPEG", _turbo, _read_turbo, per_channel=True),
        Tiles(shape, "JPEG optimised", _optimised, _read_turbo),
        Tiles(shape, "WebP", _webp, _read_webp),
    ]


def photo_rivals() -> list[Codec]:
    """The photo itself, which every cut has to be better than."""
    return [Photo("JPEG", _optimised), Photo("WebP", _webp)]


def ours(tables: bytes | None) -> list[Codec]:
    """FF where it is installed and the cut has tables."""
    missing = tables is None or importlib.util.find_spec("edge_runtime.codecs.features") is None
    return [] if missing else [FeatureFormat(tables)]
