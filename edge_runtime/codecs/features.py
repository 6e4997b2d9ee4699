"""Payload ``features``: a feature map, compressed (docs/formats/features.md).

FF is our reconstruction of the compressor in Hou et al., IEEE TCC 2024; it works from a cut's tables
(`feature_tables`), which both sides have. The other methods need none and share its container.
"""

from __future__ import annotations

import bisect
import math
import struct
import threading
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import feature_bound, feature_plain
from edge_runtime.codecs.feature_tables import MAX_VALUES, QUALITIES, Tables
from edge_runtime.errors import PayloadError
from edge_runtime.kernels import checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.kernels import FeaturePlan

    F32 = NDArray[np.float32]
    Shape = tuple[int, int, int]

MAGIC = b"EF"
VERSION = 1
METHODS = ("ff", "half", "uniform", "sparse")
FF, HALF, UNIFORM, SPARSE = range(4)
# Magic, version, method, checksum of all other bytes.
LEAD = struct.Struct("<2sBBI")
# The methods without tables go on with bits per value, channels, height, width.
PLAIN = struct.Struct("<BHHH")
PLAIN_START = LEAD.size + PLAIN.size
# FF goes on with its quality, and with the flag for a bound in the same byte.
FF_START = LEAD.size + 1
BOUNDED = 0x80
# Largest error, bytes of the stream that it is a bound for.
BOUND = struct.Struct("<fI")
HALF_BITS = 16
MAX_SIDE = 65535


class FeatureCodec:
    """FF for the maps of one cut. Any number of threads may use it; each has buffers of its own."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.shape: Shape = tables.shape
        # Sizes of the qualities, made to rise where calibration counted noise.
        self._sizes: list[int] = np.maximum.accumulate(tables.bytes_at).tolist()
        self._seed = zlib.crc32(_lead(FF), tables.identity)
        self._work = _Work(tables.plan)

    @classmethod
    def load(cls, data: bytes) -> FeatureCodec:
        """Read a cut's tables file; raises BundleError."""
        return cls(Tables(data))

    def encode(self, features: F32, quality: int, *, bound: float | None = None) -> bytes:
        """Compress a map float32 ``[C, H, W]`` at a quality from 0 to 100, the finest.

        With a ``bound``, in the map's units, no decoded value is further off than it. Raises ArgumentError, also for
        a value that is not finite.
        """
        checks.integer("quality", quality, 0, QUALITIES - 1)
        limit = None if bound is None else feature_bound.to_float32(bound)
        self._work.coder.transform(features)
        return self._encode(quality) if limit is None else self._encode_bounded(features, quality, limit)

    def encode_within(self, features: F32, budget: int) -> bytes:
        """Compress as finely as ``budget`` bytes allow; only what quality 0 makes may be more. Raises ArgumentError.

        The first quality is the calibration's; the size that the map has there corrects the next one, which lies
        between the finest that fits and the coarsest that does not, until the calibration promises nothing finer.
        """
        quality = self.quality_for(budget)
        self._work.coder.transform(features)
        kept, fits, above = b"", -1, QUALITIES
        while fits + 1 < above:
            data = self._encode(quality)
            if len(data) <= budget or quality == 0:
                kept, fits = data, quality
            else:
                above = quality
            promised = self._finest(self._sizes[quality] * budget / len(data))
            if quality == fits >= promised:
                break
            quality = promised if fits < promised < above else (fits + above) // 2
        return kept

    def quality_for(self, budget: int) -> int:
        """The finest quality whose mean payload of the calibration photos fits into ``budget`` bytes, or 0."""
        checks.integer("budget", budget, 0, 2**63 - 1)
        return self._finest(budget)

    def decode(self, data: bytes, out: F32 | None = None) -> F32:
        """Decompress a payload of any method to a map float32 ``[C, H, W]``, in ``out`` if given.

        Raises PayloadError, also for bytes of other tables or another shape, with ``out`` unspecified.
        """
        method, checksum = _open(data)
        if method != FF:
            return _decode_plain(data, method, checksum, self.shape, out)
        view = memoryview(data)
        _check_checksum(zlib.crc32(view[LEAD.size :], self._seed), checksum, "of other tables or damaged")
        _check_length(view, FF_START)
        quality = view[LEAD.size]
        if quality & BOUNDED:
            return self._decode_bounded(view, quality - BOUNDED, out)
        return self._decode(view[FF_START:], quality, out)

    def _finest(self, size: float) -> int:
        return max(bisect.bisect_right(self._sizes, size) - 1, 0)

    def _encode(self, quality: int) -> bytes:
        """Payload of the map that was taken in last."""
        work = self._work
        size = work.coder.encode(self.tables.step(quality), work.body)
        payload = work.payload[: FF_START + size]
        payload[LEAD.size] = quality
        LEAD.pack_into(payload, 0, MAGIC, VERSION, FF, zlib.crc32(payload[LEAD.size :], self._seed))
        return payload.tobytes()

    def _encode_bounded(self, features: F32, quality: int, bound: np.float32) -> bytes:
        stream = self._encode(quality)[FF_START:]
        decoded = self._decode(memoryview(stream), quality, None)
        rest = feature_bound.encode(features, decoded, bound)
        body = b"".join((bytes([quality | BOUNDED]), BOUND.pack(bound, len(stream)), stream, rest))
        return _lead(FF) + zlib.crc32(body, self._seed).to_bytes(4, "little") + body

    def _decode(self, stream: memoryview, quality: int, out: F32 | None) -> F32:
        if quality >= QUALITIES:
            raise PayloadError(f"features: quality {quality} is outside 0..{QUALITIES - 1}")
        return self._work.coder.decode(self.tables.step(quality), np.frombuffer(stream, np.uint8), out)

    def _decode_bounded(self, data: memoryview, quality: int, out: F32 | None) -> F32:
        start = FF_START + BOUND.size
        _check_length(data, start)
        bound, size = BOUND.unpack_from(data, FF_START)
        if not 0 < bound < math.inf:
            raise PayloadError(f"features: a bound of {bound} is not positive and finite")
        _check_length(data, start + size)
        decoded = self._decode(data[start : start + size], quality, out)
        feature_bound.apply(data[start + size :], np.float32(bound), decoded)
        return decoded


class _Work(threading.local):
    """One thread's coder and the buffer that its payloads are written into."""

    def __init__(self, plan: FeaturePlan) -> None:
        self.coder = kernels.FeatureCoder(plan)
        memory = np.empty(FF_START + self.coder.largest, np.uint8)
        self.payload = memory.data
        self.body = memory[FF_START:]


def encode_half(features: F32) -> bytes:
    """A map float32 ``[C, H, W]`` as float16; raises ArgumentError, also for values beyond ±65504."""
    _check_map(features)
    return _seal(HALF, HALF_BITS, features.shape, feature_plain.encode_half(features))


def encode_uniform(features: F32, bits: int) -> bytes:
    """A map float32 ``[C, H, W]`` in equal steps from its least to its greatest value, some 2^``bits`` of them.

    ``bits`` are 1..12. Raises ArgumentError, also for values beyond ±1e38.
    """
    _check_map(features)
    checks.integer("bits", bits, 1, feature_plain.MAX_BITS)
    return _seal(UNIFORM, bits, features.shape, feature_plain.encode_uniform(features, bits))


def encode_sparse(features: F32, bits: int) -> bytes:
    """A map float32 ``[C, H, W]`` with many exact zeros, which stay exact; the others as `encode_uniform` does."""
    _check_map(features)
    checks.integer("bits", bits, 1, feature_plain.MAX_BITS)
    return _seal(SPARSE, bits, features.shape, feature_plain.encode_sparse(features, bits))


class HalfEncoder:
    """Maps of one shape as `encode_half` writes them, where an encoder is asked for that has a choice of sizes.

    They have one size, so neither quality nor budget means anything; both raise ArgumentError as `encode_half` does.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def encode(self, features: F32, quality: int) -> bytes:  # noqa: ARG002 - there is but one
        """A map float32 ``[C, H, W]``, at any quality."""
        return encode_half(features)

    def encode_within(self, features: F32, budget: int) -> bytes:  # noqa: ARG002
        """A map float32 ``[C, H, W]``, though it may be more than ``budget`` bytes."""
        return encode_half(features)


class UniformEncoder:
    """Maps of one shape as `encode_uniform` writes them with that many ``bits``, 1..12, a value.

    As with `HalfEncoder`, neither quality nor budget means anything. Raises ArgumentError.
    """

    def __init__(self, shape: Shape, bits: int) -> None:
        checks.integer("bits", bits, 1, feature_plain.MAX_BITS)
        self.shape = shape
        self.bits = bits

    def encode(self, features: F32, quality: int) -> bytes:  # noqa: ARG002 - there is but one
        """A map float32 ``[C, H, W]``, at any quality."""
        return encode_uniform(features, self.bits)

    def encode_within(self, features: F32, budget: int) -> bytes:  # noqa: ARG002
        """A map float32 ``[C, H, W]``, though it may be more than ``budget`` bytes."""
        return encode_uniform(features, self.bits)


def decode(data: bytes, shape: Shape) -> F32:
    """Decompress a payload without tables to a map float32 of the receiver's ``shape``.

    Raises PayloadError, also for another shape and for FF, and ArgumentError for a shape that no map has.
    """
    for side in shape:
        checks.integer("shape", side, 1, MAX_SIDE)
    checks.integer("values", math.prod(shape), 1, MAX_VALUES)
    method, checksum = _open(data)
    if method == FF:
        raise PayloadError("features: method ff needs the tables of its cut, decode it with their FeatureCodec")
    return _decode_plain(data, method, checksum, shape, None)


def inspect(data: bytes) -> dict[str, Any]:
    """What a payload's header says, by name; raises PayloadError for bytes that are no feature payload.

    Only a decoder with the same tables can check the checksum of method ff; those of others are checked.
    """
    method, checksum = _open(data)
    facts = {"method": METHODS[method], "version": VERSION, "bytes": len(data), "checksum": f"{checksum:08x}"}
    if method != FF:
        header = _check_plain(data, method, checksum)
        return {**facts, "bits": header.bits, "shape": list(header.shape)}
    _check_length(data, FF_START)
    facts["quality"] = data[LEAD.size] & ~BOUNDED
    if data[LEAD.size] & BOUNDED:
        _check_length(data, FF_START + BOUND.size)
        facts["bound"], _ = BOUND.unpack_from(data, FF_START)
    return facts


class _PlainHeader(NamedTuple):
    bits: int
    shape: Shape


def _lead(method: int) -> bytes:
    """The bytes before the checksum."""
    return LEAD.pack(MAGIC, VERSION, method, 0)[: LEAD.size - 4]


def _open(data: bytes) -> tuple[int, int]:
    """Method and checksum."""
    _check_length(data, LEAD.size)
    magic, version, method, checksum = LEAD.unpack_from(data)
    if magic != MAGIC:
        raise PayloadError(f"features: starts with {magic.hex()}, a feature payload starts with {MAGIC.hex()}")
    if version != VERSION:
        raise PayloadError(f"features: format version {version} is unknown, this decoder reads {VERSION}")
    if method >= len(METHODS):
        raise PayloadError(f"features: method {method} is unknown, this decoder reads 0..{len(METHODS) - 1}")
    return method, checksum


def _check_length(data: bytes | memoryview, least: int) -> None:
    if len(data) < least:
        raise PayloadError(f"features: {len(data)} bytes are too short, needs at least {least}")


def _check_checksum(actual: int, announced: int, reason: str) -> None:
    if actual != announced:
        raise PayloadError(f"features: checksum is {actual:08x}, header announces {announced:08x}: {reason}")


def _check_map(features: F32) -> None:
    checks.array("features", features, np.float32, ("C", "H", "W"))
    checks.integer("values", features.size, 1, MAX_VALUES)
    checks.integer("longest side", max(features.shape), 1, MAX_SIDE)


def _seal(method: int, bits: int, shape: tuple[int, ...], body: bytes) -> bytes:
    rest = PLAIN.pack(bits, *shape) + body
    return _lead(method) + zlib.crc32(rest, zlib.crc32(_lead(method))).to_bytes(4, "little") + rest


def _check_plain(data: bytes, method: int, checksum: int) -> _PlainHeader:
    _check_length(data, PLAIN_START)
    actual = zlib.crc32(memoryview(data)[LEAD.size :], zlib.crc32(_lead(method)))
    _check_checksum(actual, checksum, "damaged, send it again")
    bits, *shape = PLAIN.unpack_from(data, LEAD.size)
    least, most = (HALF_BITS, HALF_BITS) if method == HALF else (1, feature_plain.MAX_BITS)
    if not least <= bits <= most:
        raise PayloadError(f"features: {bits} bits a value, method {METHODS[method]} has {least}..{most}")
    return _PlainHeader(bits, (shape[0], shape[1], shape[2]))


def _decode_plain(data: bytes, method: int, checksum: int, shape: Shape, out: F32 | None) -> F32:
    bits, told = _check_plain(data, method, checksum)
    if told != tuple(shape):
        raise PayloadError(f"features: shape {list(told)}, expected {list(shape)}")
    result: F32 = checks.output("out", out, np.float32, shape)
    body = memoryview(data)[PLAIN_START:]
    if method == HALF:
        feature_plain.decode_half(body, result)
    elif method == UNIFORM:
        result[:] = feature_plain.decode_uniform(body, bits, result.size).reshape(shape)
    else:
        feature_plain.decode_sparse(body, bits, result)
    return result
