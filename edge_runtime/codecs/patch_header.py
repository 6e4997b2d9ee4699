"""What a payload of patches starts with: its format, its codec, fields of its own, and a checksum."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from edge_runtime.codecs.patch_row import CODECS, PatchCodec
from edge_runtime.errors import ArgumentError, PayloadError

CHECKSUM = struct.Struct("<I")
MAX_GRID = 255


class PatchHeader:
    """Magic, version, codec and quality; ``fields`` of the kind's own, as `struct` writes them; the CRC-32 of all else.

    ``kind`` is what errors begin with.
    """

    def __init__(self, kind: str, magic: bytes, version: int, fields: str) -> None:
        self._kind, self._magic, self._version = kind, magic, version
        self._layout = struct.Struct(f"<2sBBB{fields}")
        self.size = self._layout.size + CHECKSUM.size

    def seal(self, codec: PatchCodec, quality: int, fields: tuple[int | bytes, ...], content: bytes) -> bytes:
        """A payload of ``content``. Only jpeg needs its quality to decode."""
        kept = quality if codec == "jpeg" else 0
        head = self._layout.pack(self._magic, self._version, CODECS.index(codec), kept, *fields)
        return head + CHECKSUM.pack(zlib.crc32(content, zlib.crc32(head))) + content

    def read(self, data: bytes) -> tuple[PatchCodec, int, tuple[Any, ...]]:
        """Codec, quality and the kind's own fields; the checksum is not looked at. Raises PayloadError."""
        if len(data) < self.size:
            raise PayloadError(f"{self._kind}: {len(data)} bytes end inside the header of {self.size}")
        magic, version, codec, quality, *fields = self._layout.unpack_from(data)
        if magic != self._magic:
            raise PayloadError(f"{self._kind}: the bytes start with {magic.hex()}, expected {self._magic.hex()}")
        if version != self._version:
            raise PayloadError(f"{self._kind}: format version {version} is unknown, this decoder reads {self._version}")
        if codec >= len(CODECS):
            raise PayloadError(f"{self._kind}: codec {codec} is unknown, this decoder reads 0..{len(CODECS) - 1}")
        return CODECS[codec], quality, tuple(fields)

    def content(self, data: bytes) -> bytes:
        """What follows the header, which `read` has accepted; raises PayloadError where the checksum does not fit."""
        (announced,) = CHECKSUM.unpack_from(data, self._layout.size)
        content = data[self.size :]
        actual = zlib.crc32(content, zlib.crc32(data[: self._layout.size]))
        if actual != announced:
            raise PayloadError(
                f"{self._kind}: checksum is {actual:08x}, header announces {announced:08x}, send it again"
            )
        return content


def check_grid(grid: tuple[int, int]) -> None:
    """Raise ArgumentError unless rows and columns of patches fit in a byte each."""
    if not all(1 <= side <= MAX_GRID for side in grid):
        raise ArgumentError(f"grid: {grid[0]} × {grid[1]} patches, each side may have 1..{MAX_GRID}")


def check_frame(kind: str, announced: tuple[int, int, int], grid: tuple[int, int], patch: int) -> None:
    """Raise PayloadError unless (rows, columns, side) are those of the receiver's frame."""
    if announced != (*grid, patch):
        rows, columns, side = announced
        raise PayloadError(
            f"{kind}: grid {rows} × {columns} of {side} pixels, expected {grid[0]} × {grid[1]} of {patch}"
        )
