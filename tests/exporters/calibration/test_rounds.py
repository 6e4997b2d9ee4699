"""Calibration of two rounds by several processes."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.control.rounds import Setting
from edge_runtime.errors import ArgumentError, BundleError
from edge_runtime.labelled_photos import labelled_photos
from exporters.calibration.rounds import BATCH, calibrate_rounds, measure_batch
from exporters.calibration.rounds_axes import Axes
from exporters.calibration.rounds_tables import round_tables

AXES = Axes((Setting("jpeg", 50),), first=(14, 5), second=(2,), below=(0.9, 0.5))


def test_photos_keep_their_order_and_number(rounds_bundle, colour_photos):
    """Two processes measure what one would, but for times."""
    photos = labelled_photos(colour_photos, rounds_bundle.manifest, every=2, limit=None)
    assert len(photos) > 2 * BATCH
    tables, report = calibrate_rounds(rounds_bundle, photos, AXES, processes=2)

    numbers = range(len(photos))
    alone = measure_batch(rounds_bundle.folder, AXES.ordered(), numbers, [photo.data for photo in photos])
    stacked = type(alone[0])(*(np.stack(arrays) for arrays in zip(*alone, strict=True)))
    expected = round_tables(AXES.ordered(), stacked, np.array([photo.label for photo in photos]))
    assert tables.accuracy == expected.accuracy
    assert tables.temperatures == expected.temperatures
    assert tables.first_bytes == expected.first_bytes
    assert report["photos"] == len(photos)


def test_axes_that_do_not_fit(rounds_bundle):
    """They are refused before anything is computed."""
    with pytest.raises(ArgumentError, match=r"first: 20 is outside 1\.\.16"):
        calibrate_rounds(rounds_bundle, [], Axes())


def test_a_bundle_without_rounds(zoo):
    """There is nothing to measure."""
    with pytest.raises(BundleError, match="has no rounds to calibrate"):
        measure_batch(zoo.folder, Axes(), [], [])
