"""Payload ``latent``: what slimmable encoders put out, quantised to a few levels (docs/formats/latents.md).

How many encoders ran, and to how many levels their output was quantised, changes from payload to payload; both sides
have the family's tables (`latent_tables`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime.codecs.latent_tables import Tables
from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.kernels import LatentCoder, checks
from edge_runtime.kernels.latents import MAX_LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

VERSION = 1
CODINGS = ("packed", "rans")
PACKED, RANS = range(2)
# Version, coding, encoders, levels, CRC-32 of the tables file.
HEADER = struct.Struct("<BBBBI")


class LatentHeader(NamedTuple):
    """What a payload says of itself; ``tables`` is the CRC-32 of the tables file that it was made with."""

    coding: int
    encoders: int
    levels: int
    tables: int


class LatentCodec:
    """The latents of one family of encoders. Any number of threads may use it."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.shape = tables.shape
        self.levels: tuple[int, ...] = tables.stored.levels
        """Numbers of levels to choose from, ascending."""
        self.encoders: int = tables.stored.encoders
        """The most that a payload may come from."""
        self._coders: dict[tuple[int, int], LatentCoder] = {}

    @classmethod
    def load(cls, data: bytes) -> LatentCodec:
        """Read a family's tables file; raises BundleError."""
        return cls(Tables(data))

    def encode(self, latent: F32, encoders: int, levels: int) -> bytes:
        """Compress the latent float32 ``[C, H, W]`` of so many encoders, each value to one of so many levels.

        Raises ArgumentError, also for numbers that are not among the tables', or a value that is not finite.
        """
        checks.integer("encoders", encoders, 1, self.encoders)
        self._check_levels(levels)
        coder = self._coder(encoders, levels)
        payload = np.empty(HEADER.size + coder.room, np.uint8)
        size = coder.encode(latent, payload[HEADER.size :])
        coding = RANS if size < coder.plan.packed_bytes else PACKED
        HEADER.pack_into(payload.data, 0, VERSION, coding, encoders, levels, self.tables.identity)
        return payload[: HEADER.size + size].tobytes()

    def decode(self, data: bytes, out: F32 | None = None) -> F32:
        """Decompress a payload to a latent float32 ``[C, H, W]``, in ``out`` if given.

        Raises PayloadError, also for bytes of other tables, with ``out`` unspecified.
        """
        header = read_header(data)
        if header.tables != self.tables.identity:
            raise PayloadError(f"latent: made with tables {header.tables:08x}, these are {self.tables.identity:08x}")
        if not 1 <= header.encoders <= self.encoders:
            raise PayloadError(f"latent: {header.encoders} encoders, the tables have 1..{self.encoders}")
        if header.levels not in self.levels:
            raise PayloadError(f"latent: {header.levels} levels, the tables have {_listed(self.levels)}")
        coder = self._coder(header.encoders, header.levels)
        size, packed = len(data) - HEADER.size, coder.plan.packed_bytes
        if size != packed if header.coding == PACKED else size >= packed:
            limit = f"{packed}" if header.coding == PACKED else f"less than {packed}"
            raise PayloadError(f"latent: {size} bytes of {CODINGS[header.coding]} symbols, expected {limit}")
        return coder.decode(np.frombuffer(data, np.uint8, offset=HEADER.size), out)

    def packed_bytes(self, levels: int) -> int:
        """Size of a payload at so many levels without entropy coding, which none exceeds; raises ArgumentError."""
        self._check_levels(levels)
        return HEADER.size + self._coder(1, levels).plan.packed_bytes

    def _check_levels(self, levels: int) -> None:
        checks.integer("levels", levels, 2, MAX_LEVELS)
        if levels not in self.levels:
            raise ArgumentError(f"levels: {levels} are not in the tables, use one of {_listed(self.levels)}")

    def _coder(self, encoders: int, levels: int) -> LatentCoder:
        # Two threads may make the same one; either will do.
        known = self._coders.get((encoders, levels))
        if known is None:
            known = self._coders[encoders, levels] = LatentCoder(self.tables.plan(encoders, levels))
        return known


def read_header(data: bytes) -> LatentHeader:
    """A payload's header, whatever its tables; raises PayloadError."""
    if len(data) < HEADER.size:
        raise PayloadError(f"latent: {len(data)} bytes end inside the header of {HEADER.size}")
    version, *fields = HEADER.unpack_from(data)
    if version != VERSION:
        raise PayloadError(f"latent: format version {version} is unknown, this decoder reads {VERSION}")
    header = LatentHeader(*fields)
    if header.coding >= len(CODINGS):
        raise PayloadError(f"latent: coding {header.coding} is unknown, this decoder reads 0..{len(CODINGS) - 1}")
    return header


def inspect(data: bytes) -> dict[str, Any]:
    """What a payload's header says, by name; raises PayloadError for bytes that are no latent payload."""
    header = read_header(data)
    facts = {"coding": CODINGS[header.coding], "version": VERSION, "bytes": len(data)}
    return {**facts, "encoders": header.encoders, "levels": header.levels, "tables": f"{header.tables:08x}"}


def _listed(levels: tuple[int, ...]) -> str:
    return ", ".join(map(str, levels))
