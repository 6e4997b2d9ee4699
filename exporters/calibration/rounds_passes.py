"""Photos through the server's models in two rounds: every first round, and every second round after it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import requested, samples
from edge_runtime.photos import open_frame
from server_ref.asking import wanted_patches
from server_ref.picture import Picture, merge
from server_ref.round_models import RoundModels

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from numpy.typing import NDArray

    from edge_runtime.control.rounds import Setting
    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import RoundsSpec
    from exporters.calibration.rounds_axes import Axes
    from server_ref.round_models import Look

    F64 = NDArray[np.float64]
    Result = TypeVar("Result")

# Of every so many photos, one has its second rounds computed from their start as well, with one setting after another.
FULL_EVERY = 4
# What the recovery's uncertainty may weigh in what is asked for, tried where a device often is: see `probed`.
WEIGHTS = (0.0, 0.5, 1.0, 2.0)
PROBED_FIRST, PROBED_SECOND = 49, 35
# Tokens only tell the server what it asked for.
SESSION = bytes(requested.SESSION_BYTES)


class Passes(NamedTuple):
    """What photos gave, float64, NaN where nothing was computed; several photos' have an axis for them first.

    The axes are S settings, F first and K second patch counts, C classes, W weights. ``logits [S, F, K, C]`` are the
    light update's, with 0 patches those of the first round; ``full [S, F, K, C]`` are of the same patches computed from
    their start; ``weighted [W, C]`` are of the second round that `probed` names, asked for with each of `WEIGHTS`.
    ``first_bytes [S, F]`` and ``second_bytes [S, F, K]`` are payloads, ``first_ms [S, F]``, ``update_ms [S, F, K]`` and
    ``full_ms [S, F, K]`` milliseconds of compute.
    """

    logits: F64
    full: F64
    weighted: F64
    first_bytes: F64
    second_bytes: F64
    first_ms: F64
    update_ms: F64
    full_ms: F64

    @classmethod
    def empty(cls, axes: Axes, classes: int) -> Passes:
        """One photo's, before anything was computed."""
        first = (len(axes.settings), len(axes.first))
        second = (*first, len(axes.second))
        shapes = ((*second, classes), (*second, classes), (len(WEIGHTS), classes), first, second, first, second, second)
        return cls(*(np.full(shape, np.nan) for shape in shapes))


def probed(axes: Axes) -> tuple[int, int, int]:
    """Places of the setting, first and second round with which `WEIGHTS` are tried."""
    first = np.abs(np.array(axes.first) - PROBED_FIRST).argmin()
    second = np.abs(np.array(axes.second) - PROBED_SECOND).argmin()
    return len(axes.settings) // 2, int(first), int(second)


class _First(NamedTuple):
    """A first round: the photo's pixels, how patches are packed, what was sent, and what the server made of it."""

    pixels: NDArray[np.uint8]
    setting: Setting
    picture: Picture
    look: Look


class RoundPasses:
    """Runs one photo after the other through every plan of ``axes``, with the codecs and models of both sides."""

    def __init__(self, bundle: Bundle, rounds: RoundsSpec, axes: Axes) -> None:
        self._models = RoundModels(bundle, rounds)
        self._rounds, self._axes = rounds, axes
        self._frame, self._classes = bundle.frame, len(bundle.classes)
        self._grid = (self._frame.grid, self._frame.grid)

    def measure(self, number: int, data: bytes) -> Passes:
        """The photo in ``data``; its ``number`` seeds what is sampled, and says whether it has full second rounds."""
        pixels = open_frame(data, self._frame)
        found = Passes.empty(self._axes, self._classes)
        turn, rest = divmod(number, FULL_EVERY)
        probe = probed(self._axes)
        for s in range(len(self._axes.settings)):
            is_full = rest == 0 and turn % len(self._axes.settings) == s
            for f in range(len(self._axes.first)):
                first = self._first_round(s, f, number, pixels, found)
                for k, count in enumerate(self._axes.second):
                    if 0 < count <= self._frame.grid**2 - self._axes.first[f]:
                        self._second_round((s, f, k), first, found, is_full)
                        if (s, f, k) == probe:
                            self._probe(count, first, found)
        return found

    def _first_round(self, s: int, f: int, seed: int, pixels: NDArray[np.uint8], found: Passes) -> _First:
        setting, count = self._axes.settings[s], self._axes.first[f]
        pattern, patch = self._rounds.pattern, self._frame.patch
        sampled = kernels.gather(pixels, kernels.sample(pattern, self._grid, count, seed), patch)
        data = samples.encode(sampled, self._grid, pattern, seed, setting.codec, setting.quality)
        picture = Picture(*samples.decode(data, self._grid, patch))
        look, found.first_ms[s, f] = _timed(lambda: self._models.look(picture))
        found.first_bytes[s, f] = len(data)
        # No second round is one of 0 patches.
        found.logits[s, f, 0] = look.logits
        found.second_bytes[s, f, 0] = found.update_ms[s, f, 0] = 0
        return _First(pixels, setting, picture, look)

    def _second_round(self, at: tuple[int, int, int], first: _First, found: Passes, is_full: bool) -> None:
        asked, found.second_bytes[at] = self._asked(first, self._axes.second[at[2]], self._rounds.uncertainty_weight)
        found.logits[at], found.update_ms[at] = _timed(lambda: self._update(first, asked))
        if is_full:
            look, found.full_ms[at] = _timed(lambda: self._models.look(merge(first.picture, asked)))
            found.full[at] = look.logits

    def _probe(self, count: int, first: _First, found: Passes) -> None:
        for place, weight in enumerate(WEIGHTS):
            found.weighted[place] = self._update(first, self._asked(first, count, weight)[0])

    def _asked(self, first: _First, count: int, weight: float) -> tuple[Picture, int]:
        """The patches that the server asks for, as they come, and the bytes that bring them."""
        patch, setting, look = self._frame.patch, first.setting, first.look
        asked = wanted_patches(look.attention, look.patches, first.picture.indices, count, weight)
        data = requested.encode(SESSION, kernels.gather(first.pixels, asked, patch), setting.codec, setting.quality)
        return Picture(asked, requested.decode(data, len(asked), patch)), len(data)

    def _update(self, first: _First, asked: Picture) -> NDArray[np.float32]:
        return self._models.update(first.look.image, first.look.states, first.picture.indices, asked)


def _timed(compute: Callable[[], Result]) -> tuple[Result, float]:
    """What ``compute`` gives, and the milliseconds it takes."""
    started_s = time.perf_counter()
    result = compute()
    return result, (time.perf_counter() - started_s) * 1e3
