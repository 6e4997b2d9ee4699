"""Training photos: read once, held out evenly, augmented reproducibly."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest
import torch

from edge_runtime.errors import PhotoError
from exporters.training.photos import augment, load_photos, normalise

if TYPE_CHECKING:
    from pathlib import Path


def test_folder_and_tar_hold_the_same_photos(photo_folder: Path, tmp_path: Path) -> None:
    """Photos come sorted by class and name, cropped to the size asked for."""
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(photo_folder, arcname="any")
    folder, tar_file = load_photos(photo_folder, 32), load_photos(tmp_path / "photos.tar", 32)
    assert folder.classes == tar_file.classes == ("n1", "n2", "n3")
    assert folder.pixels.shape == (42, 32, 32, 3)
    assert torch.equal(folder.pixels, tar_file.pixels)
    assert torch.equal(folder.labels, torch.arange(3).repeat_interleave(14))


def test_limit_keeps_an_even_sample(photo_folder: Path) -> None:
    """Every class is represented."""
    assert load_photos(photo_folder, 32, limit=6).labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_tuning_photos_are_never_trained_on(photo_folder: Path) -> None:
    """Every twelfth photo is held out, and nothing is lost."""
    photos = load_photos(photo_folder, 32)
    training, held_out = photos.split_for_tuning()
    assert (len(training), len(held_out)) == (38, 4)
    assert torch.equal(held_out.pixels, photos.pixels[[0, 12, 24, 36]])


@pytest.mark.parametrize(("make", "message"), [(True, "no photo found"), (False, "cannot be read as a folder or tar")])
def test_unusable_source_is_named(tmp_path: Path, make: bool, message: str) -> None:
    """An empty folder and a file that is no archive are told apart."""
    source = tmp_path / "source"
    source.mkdir() if make else source.write_bytes(b"no tar")
    with pytest.raises(PhotoError, match=message):
        load_photos(source)


def test_augmentation_depends_only_on_its_generator(photo_folder: Path) -> None:
    """The same seed crops and flips alike; shape and range are kept."""
    pixels = load_photos(photo_folder, 32).pixels
    first, again = (augment(pixels, torch.Generator().manual_seed(3), smallest_crop=0.5) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (42, 3, 32, 32)
    assert first.min() >= 0
    assert first.max() <= 255


def test_normalisation_is_per_channel() -> None:
    """Each channel has its own mean and deviation, in 0..255 units."""
    images = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1)
    assert normalise(images, (10, 10, 10), (1, 2, 4)).flatten().tolist() == [0.0, 5.0, 5.0]
