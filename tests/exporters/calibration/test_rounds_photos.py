"""Which photos two rounds are calibrated on."""

from __future__ import annotations

import pytest

from edge_runtime.errors import ArgumentError, PhotoError
from edge_runtime.photos import photo_files
from exporters.calibration.rounds_photos import labelled_photos


def test_every_nth_and_an_even_sample(rounds_bundle, colour_photos):
    """Of 36 photos by name: blue, then green, then red; labels are places among the bundle's classes."""
    files = [data for _, data in photo_files(colour_photos)]
    found = labelled_photos(colour_photos, rounds_bundle.manifest, every=12, limit=None)

    assert [photo.label for photo in found] == [2, 1, 0]
    assert [photo.data for photo in found] == files[::12]
    sample = labelled_photos(colour_photos, rounds_bundle.manifest, every=3, limit=2)
    assert [photo.data for photo in sample] == [files[0], files[33]]


def test_unknown_classes(zoo, colour_photos):
    """A folder that is none of the bundle's is named."""
    with pytest.raises(PhotoError, match="folder 'blue' is no class of this bundle"):
        labelled_photos(colour_photos, zoo.manifest, every=1, limit=None)


@pytest.mark.parametrize("none", [{"every": 0, "limit": None}, {"every": 1, "limit": 0}])
def test_no_photos_at_all(rounds_bundle, colour_photos, none):
    """Numbers below one are refused."""
    with pytest.raises(ArgumentError, match="0 is less than 1"):
        labelled_photos(colour_photos, rounds_bundle.manifest, **none)
