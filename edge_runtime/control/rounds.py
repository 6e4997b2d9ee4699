"""What calibration measured of answers in two rounds: accuracy, second rounds, bytes and server times, by plan.

A plan is a codec setting, ``first`` patches sent blindly, and up to ``second`` more that the server asks for when the
confidence of its first answer is under ``below``. docs/formats/rounds.md describes every key of the file.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np

from edge_runtime.errors import ArgumentError, BundleError

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = 1
PatchCodec = Literal["raw", "jpeg", "webp"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table: immutable, and an unknown key is an error."""


class Setting(_Table, frozen=True):
    """How patches are packed; ``quality`` is the codec's, of ``raw`` without meaning."""

    codec: PatchCodec
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)]


class Bytes(_Table, frozen=True):
    """Bytes of one payload over the photos: their mean, and their 95th percentile ``most``."""

    mean: Amount
    most: Amount


class Temperatures(_Table, frozen=True):
    """What logits are divided by, at ascending ``counts`` of visible patches."""

    counts: tuple[Count, ...]
    values: tuple[Positive, ...]

    def __post_init__(self) -> None:
        _ascending("temperatures.counts", self.counts)
        _lengths("temperatures.values", self.values, len(self.counts))


class ServerTimes(_Table, frozen=True):
    """Milliseconds of the server's compute, medians where it was calibrated.

    ``first`` by the patches of a first look, recovery included; ``update`` by second patches.
    """

    first: tuple[Amount, ...]
    update: tuple[Amount, ...]


class RoundTables(_Table, frozen=True):
    """The whole file, the tables indexed by the position in the axes; raises ArgumentError for one of another shape.

    Axes: ``settings``; ``first`` and ``second``, ascending patch counts, ``second`` from 0; ``below``, ascending
    confidences. ``accuracy[setting][first][second][below]`` is None (or NaN) where it cannot be: more patches than
    there are. ``asked[setting][first][below]`` is the share of photos with a second round. Accuracy need not rise
    along any axis.
    """

    photos: Annotated[int, msgspec.Meta(gt=0)]
    settings: tuple[Setting, ...]
    first: tuple[Count, ...]
    second: tuple[Count, ...]
    below: tuple[Share, ...]
    temperatures: Temperatures
    accuracy: tuple[tuple[tuple[tuple[Share | None, ...], ...], ...], ...]
    asked: tuple[tuple[tuple[Share, ...], ...], ...]
    first_bytes: tuple[tuple[Bytes, ...], ...]
    second_bytes: tuple[tuple[Bytes, ...], ...]
    server_ms: ServerTimes
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ArgumentError(f"format: {self.format} is not supported; this version reads {FORMAT}")
        for name in ("first", "second", "below"):
            _ascending(name, getattr(self, name))
        if self.first[0] == 0 or self.second[0] != 0:
            raise ArgumentError(f"first, second: start with {self.first[0]}, {self.second[0]}; give 1 or more, and 0")
        if not self.settings:
            raise ArgumentError("settings: none; give at least one")
        settings, first, second, below = map(len, (self.settings, self.first, self.second, self.below))
        _lengths("accuracy", self.accuracy, settings, first, second, below)
        _lengths("asked", self.asked, settings, first, below)
        _lengths("first_bytes", self.first_bytes, settings, first)
        _lengths("second_bytes", self.second_bytes, settings, second)
        _lengths("server_ms.first", self.server_ms.first, first)
        _lengths("server_ms.update", self.server_ms.update, second)

    @classmethod
    def load(cls, data: bytes) -> RoundTables:
        """Read a file; raises BundleError naming the key that is wrong."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise BundleError(f"rounds: {error}; calibrate the bundle again") from error

    def dump(self) -> bytes:
        """The file, readable by people."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    def temperature(self, count: int) -> float:
        """What logits are divided by when ``count`` patches are visible, on the line between the counts."""
        return float(np.interp(count, self.temperatures.counts, self.temperatures.values))


def _ascending(name: str, values: Sequence[float]) -> None:
    if not values or any(low >= high for low, high in pairwise(values)):
        raise ArgumentError(f"{name}: {list(values)} does not ascend; give at least one value, each above the last")


def _lengths(name: str, table: Sequence[Any], length: int, *inner: int) -> None:
    if len(table) != length:
        raise ArgumentError(f"{name}: {len(table)} entries, its axis has {length}")
    if inner:
        for index, row in enumerate(table):
            _lengths(f"{name}[{index}]", row, *inner)
