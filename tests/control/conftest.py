"""Plausible tables of two rounds: 196 patches, four codec settings."""

from __future__ import annotations

import math

import pytest

from edge_runtime.control.modes import LEVELS, ModeFigures, ModeTable
from edge_runtime.control.rounds import Bytes, RoundTables, ServerTimes, Setting, Temperatures

PATCHES = 196
FIRST = (20, 32, 49, 64, 81, 98, 118, 137, 166, 196)
SECOND = (0, 10, 20, 35, 50, 74, 98)
BELOW = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
# Setting -> bytes a patch, accuracy lost.
SETTINGS = {
    Setting("webp", 10): (18, 0.03),
    Setting("webp", 20): (25, 0.012),
    Setting("webp", 40): (38, 0.0),
    Setting("jpeg", 30): (34, 0.008),
}


@pytest.fixture(scope="session")
def tables() -> RoundTables:
    """More patches help ever less; those asked for help one and a half times as much as blind ones."""
    return RoundTables(
        photos=1000,
        settings=tuple(SETTINGS),
        first=FIRST,
        second=SECOND,
        below=BELOW,
        temperatures=Temperatures((20, 98, 196), (1.4, 1.1, 1.0)),
        accuracy=tuple(
            tuple(
                tuple(tuple(_accuracy(first, second, below, lost) for below in BELOW) for second in SECOND)
                for first in FIRST
            )
            for _, lost in SETTINGS.values()
        ),
        asked=tuple(tuple(tuple(_asked(first, below) for below in BELOW) for first in FIRST) for _ in SETTINGS),
        first_bytes=tuple(tuple(_bytes(size, first) for first in FIRST) for size, _ in SETTINGS.values()),
        second_bytes=tuple(tuple(_bytes(size, second) for second in SECOND) for size, _ in SETTINGS.values()),
        server_ms=ServerTimes(
            first=tuple(20 + 10 * first / PATCHES for first in FIRST),
            update=tuple(8.0 if second else 0.0 for second in SECOND),
        ),
    )


def _seen(patches: float) -> float:
    """Accuracy by blind patches: 0.75 at 20, 0.985 at all."""
    return 0.986 - 0.236 * math.exp(-(patches - 20) / 32)


def _asked(first: int, below: float) -> float:
    return below**3 * min(1.0, 1.25 * math.exp(-first / 110))


def _accuracy(first: int, second: int, below: float, lost: float) -> float | None:
    if first + second > PATCHES:
        return None
    gain = _seen(first + 1.5 * second) - _seen(first)
    # The least sure are asked about first, so the gain comes sooner than the questions.
    return _seen(first) - lost + gain * math.sqrt(_asked(first, below))


def _bytes(size: float, patches: int) -> Bytes:
    return Bytes(size * patches, 1.3 * size * patches)


@pytest.fixture(scope="session")
def modes() -> ModeTable:
    """Four encoders in every rate: bits bring much, encoders little; a thousand bytes a bit, most a fifth more."""
    return ModeTable(
        photos=1000,
        teacher_accuracy=0.98,
        server_ms=10.0,
        modes=tuple(
            ModeFigures(
                encoders, levels, 0.98 - 0.2 * math.exp(-bits) - 0.02 / encoders, Bytes(1000 * bits, 1200 * bits)
            )
            for encoders in (1, 2, 3, 4)
            for bits, levels in LEVELS.items()
        ),
    )
