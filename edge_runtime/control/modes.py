"""What calibration measured of slimmable encoders: accuracy and bytes of every mode.

A mode is a number of encoders and a number of levels to which every value of their latent is quantised.
docs/formats/modes.md describes every key of the file.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from edge_runtime.control.rounds import Bytes
from edge_runtime.errors import ArgumentError, BundleError
from edge_runtime.messages import Mode

FORMAT = 1
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
# Numbers of levels by bits a value: between whole bits, the integer next to the power of two.
LEVELS = {1.0: 2, 1.5: 3, 2.0: 4, 2.5: 6, 3.0: 8, 3.5: 12, 4.0: 16}
BITS = {levels: bits for bits, levels in LEVELS.items()}


class ModeFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One mode: the share of photos answered right, and the bytes of one payload."""

    encoders: Annotated[int, msgspec.Meta(ge=1, le=16)]
    levels: Literal[2, 3, 4, 6, 8, 12, 16]
    accuracy: Share
    bytes: Bytes

    @property
    def mode(self) -> Mode:
        """What it is the mode of."""
        return Mode(self.encoders, self.levels)

    @property
    def bits(self) -> float:
        """Of one value, in halves; a fractional rate where it is no whole number."""
        return BITS[self.levels]


class ModeTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file; raises ArgumentError for one without modes, or with a mode twice.

    ``teacher_accuracy`` is that of the whole network on the same photos, losslessly sent. ``server_ms`` is the median
    of the server's decoding and compute, whatever the mode.
    """

    photos: Annotated[int, msgspec.Meta(gt=0)]
    teacher_accuracy: Share
    server_ms: Annotated[float, msgspec.Meta(ge=0)]
    modes: tuple[ModeFigures, ...]
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ArgumentError(f"format: {self.format} is not supported; this version reads {FORMAT}")
        if not self.modes:
            raise ArgumentError("modes: none; give at least one")
        known: set[Mode] = set()
        for one in self.modes:
            if one.mode in known:
                raise ArgumentError(f"modes: {one.encoders} encoders at {one.levels} levels twice; give each mode once")
            known.add(one.mode)

    @classmethod
    def load(cls, data: bytes) -> ModeTable:
        """Read a file; raises BundleError naming the key that is wrong."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise BundleError(f"modes: {error}; export the bundle again") from error

    def dump(self) -> bytes:
        """The file, readable by people."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @property
    def whole_bits(self) -> tuple[ModeFigures, ...]:
        """The modes without those of fractional rates."""
        return tuple(one for one in self.modes if one.bits.is_integer())
