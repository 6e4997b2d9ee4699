"""Two rounds whose passes are made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.control.rounds import Setting
from exporters.calibration.rounds_axes import Axes
from exporters.calibration.rounds_passes import WEIGHTS, Passes

LABELS = np.array([0, 1, 0, 1])


@pytest.fixture
def axes() -> Axes:
    """Of a frame of sixteen patches."""
    return Axes((Setting("webp", 20), Setting("jpeg", 35)), first=(4, 12, 16), second=(0, 4, 8), below=(0.0, 0.6, 1.0))


@pytest.fixture
def labels() -> np.ndarray:
    """Of four photos."""
    return LABELS


@pytest.fixture
def passes(axes: Axes) -> Passes:
    """Sure of the first three photos, of which the third is wrong; unsure of the last, until the second round.

    The full second round is right about the third as well. There is one for the first and the third photo.
    """
    empty = Passes.empty(axes, 2)
    found = Passes(*(np.repeat(array[np.newaxis], 4, axis=0) for array in empty))
    margins = np.array([4.0, 4.0, -4.0, -0.1])
    for f, first in enumerate(axes.first):
        found.first_bytes[:, :, f] = [[100 * first, 200 * first]]
        found.first_ms[:, :, f] = 20 - f
        for k, second in enumerate(axes.second):
            if first + second <= 16:
                after = np.where([False, False, False, second > 0], 1.0, margins)
                found.logits[:, :, f, k] = _logits(after)[:, np.newaxis]
                found.second_bytes[:, :, f, k] = 10 * second
                found.update_ms[:, :, f, k] = second
            if second and first + second <= 16:
                found.full[::2, :, f, k] = _logits(np.abs(after))[::2, np.newaxis]
                found.full_ms[::2, :, f, k] = 2 * second
    found.weighted[:] = _logits(margins)[:, np.newaxis]
    found.weighted[2, WEIGHTS.index(1.0)] *= -1
    return found


def _logits(margins: np.ndarray) -> np.ndarray:
    """By how much the right class is ahead: two classes' logits ``[4, 2]``."""
    ours = np.where(np.arange(2) == LABELS[:, np.newaxis], 1, 0)
    return ours * margins[:, np.newaxis]
