"""The tables of one family of slimmable encoders: steps and histograms of their latents, as both sides need them.

A tables file is msgpack (docs/formats/latents.md). Bytes depend on its integers and on float32 values that take part
in single operations, so every CPU makes the same ones from it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from edge_runtime.codecs.feature_symbols import normalise
from edge_runtime.codecs.feature_tables import array
from edge_runtime.errors import ArgumentError, BundleError
from edge_runtime.kernels import LatentPlan, checks
from edge_runtime.kernels.feature_plan import SYMBOLS
from edge_runtime.kernels.latents import MAX_CHANNELS, MAX_LEVELS, MAX_SIDE, MAX_VALUES, check_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 1
MAX_ENCODERS = 16

Side = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIDE)]
Levels = Annotated[int, msgspec.Meta(ge=2, le=MAX_LEVELS)]


class LatentTables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about the latents of one family; arrays are little-endian bytes, C order.

    ``levels`` are the numbers of levels to choose from, ascending; steps float32[levels, C], how far apart a channel's
    levels are; histograms uint16[encoders, levels, C, 16] of its symbols.
    """

    version: int
    channels: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHANNELS)]
    height: Side
    width: Side
    encoders: Annotated[int, msgspec.Meta(ge=1, le=MAX_ENCODERS)]
    levels: Annotated[tuple[Levels, ...], msgspec.Meta(min_length=1)]
    steps: bytes
    histograms: bytes


class Tables:
    """A tables file, checked: nothing in it can make a coder overflow or leave its arrays."""

    def __init__(self, data: bytes) -> None:
        self.stored = _parse(data)
        self.identity = zlib.crc32(data)
        grid = (len(self.stored.levels), self.stored.channels)
        self._steps: NDArray[np.float32] = array(self.stored.steps, "f4", grid)
        shares = array(self.stored.histograms, "u2", (self.stored.encoders, *grid, MAX_LEVELS))
        self._histograms = np.pad(shares, [(0, 0)] * 3 + [(0, SYMBOLS - MAX_LEVELS)])
        self._check_plans()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.stored.channels, self.stored.height, self.stored.width

    def plan(self, encoders: int, levels: int) -> LatentPlan:
        """How the latents of so many encoders are coded at so many levels, both among those of the tables."""
        at = self.stored.levels.index(levels)
        _, height, width = self.shape
        return LatentPlan(height, width, levels, self._steps[at], self._histograms[encoders - 1, at])

    def _check_plans(self) -> None:
        for encoders in range(1, self.stored.encoders + 1):
            for levels in self.stored.levels:
                self._check_plan(encoders, levels)

    def _check_plan(self, encoders: int, levels: int) -> None:
        try:
            check_plan(self.plan(encoders, levels))
        except ArgumentError as error:
            raise BundleError(f"tables: {encoders} encoders at {levels} levels: {error}") from None


def make_tables(
    shape: tuple[int, int, int], levels: tuple[int, ...], steps: NDArray[np.float32], counts: NDArray[np.int64]
) -> bytes:
    """A tables file of latents of that shape [C, H, W], from steps float32 ``[levels, C]`` and counted symbols.

    counts int64 ``[encoders, levels, C, 16]`` say how often each symbol occurred in a channel with so many encoders and
    levels; a level that was never seen still gets the least share. Raises ArgumentError for arrays that do not fit
    together, and BundleError for numbers that no coder may use.
    """
    channels, height, width = shape
    checks.array("steps", steps, np.float32, (len(levels), channels))
    checks.array("counts", counts, np.int64, ("encoders", len(levels), channels, MAX_LEVELS))
    histograms = np.zeros(counts.shape, "<u2")
    for encoders, at, channel in np.ndindex(counts.shape[:3]):
        seen = np.maximum(counts[encoders, at, channel, : levels[at]], 1)
        histograms[encoders, at, channel, : levels[at]] = normalise(seen)
    data = msgspec.msgpack.encode(
        LatentTables(
            version=VERSION,
            channels=channels,
            height=height,
            width=width,
            encoders=len(counts),
            levels=levels,
            steps=steps.astype("<f4").tobytes(),
            histograms=histograms.tobytes(),
        )
    )
    Tables(data)
    return data


def _parse(data: bytes) -> LatentTables:
    try:
        tables = msgspec.msgpack.decode(data, type=LatentTables)
    except msgspec.DecodeError as error:
        raise BundleError(f"tables: {len(data)} bytes are no latent tables: {error}") from None
    if tables.version != VERSION:
        raise BundleError(f"tables: version {tables.version} is unknown, this decoder reads {VERSION}")
    size = tables.channels * tables.height * tables.width
    if size > MAX_VALUES:
        raise BundleError(f"tables: a latent of {size} values is larger than {MAX_VALUES}, make it smaller")
    if tuple(sorted(set(tables.levels))) != tables.levels:
        raise BundleError(f"tables: levels {list(tables.levels)} do not ascend, export them again")
    steps = 4 * len(tables.levels) * tables.channels
    for name, expected in (("steps", steps), ("histograms", tables.encoders * steps // 2 * MAX_LEVELS)):
        found = len(getattr(tables, name))
        if found != expected:
            raise BundleError(f"tables: {name} has {found} bytes, needs {expected}")
    return tables
