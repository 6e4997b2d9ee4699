"""Labelled photos from folders and tar files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import ArgumentError, PhotoError
from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models.bundle import FrameSpec, GateSpec, Manifest

MANIFEST = Manifest(
    format=1,
    name="t",
    created_by="t",
    hash="",
    half="both",
    classes=("cat", "dog"),
    default_edge_model="e",
    default_server_model="s",
    frame=FrameSpec(size=32, patch=16),
    models=(),
    gate=GateSpec(eta=1, delta=1),
    class_folders=("n1", "n2"),
)


def jpeg(width: int = 40, height: int = 30) -> bytes:
    """A small photo's file."""
    out = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos of two classes, one folder by class name and one by its data-set name."""
    for name in ("cat/a.jpg", "cat/b.jpg", "n2/c.JPEG"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg())
    (tmp_path / "photos" / "cat" / "notes.txt").write_text("no photo")
    return tmp_path / "photos"


def test_a_folder_gives_its_photos_with_their_classes(folder: Path) -> None:
    """Class names and class folders both label; other files are passed over."""
    found = labelled_photos(folder, MANIFEST)
    assert [photo.label for photo in found] == [0, 0, 1]


def test_a_tar_file_gives_the_same_photos(folder: Path, tmp_path: Path) -> None:
    """The order and labels do not depend on how the photos are stored."""
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(folder, "photos")
    assert labelled_photos(folder, MANIFEST) == labelled_photos(tmp_path / "photos.tar", MANIFEST)


def test_every_nth_and_an_even_sample(folder: Path) -> None:
    """``every`` starts with the first photo; ``limit`` spreads over what is left."""
    assert [Path(p.name).name for p in labelled_photos(folder, MANIFEST, every=2)] == ["a.jpg", "c.JPEG"]
    assert [Path(p.name).name for p in labelled_photos(folder, MANIFEST, limit=2)] == ["a.jpg", "c.JPEG"]


@pytest.mark.parametrize("none", [{"every": 0}, {"limit": 0}, {"limit": -1}])
def test_no_photos_are_no_sample(folder: Path, none: dict[str, int]) -> None:
    """Both count from 1."""
    with pytest.raises(ArgumentError, match="is less than 1"):
        labelled_photos(folder, MANIFEST, **none)


def test_an_unknown_class_folder_is_named(folder: Path) -> None:
    """The error names the folder and the classes that are known."""
    (folder / "bird").mkdir()
    (folder / "bird" / "d.jpg").write_bytes(jpeg())
    with pytest.raises(PhotoError, match=r"'bird' is no class of this bundle; it knows n1, n2"):
        labelled_photos(folder, MANIFEST)


IMAGENET = msgspec.structs.replace(MANIFEST, classes=tuple(f"class {i}" for i in range(1000)), class_folders=())


@pytest.fixture
def nips(tmp_path: Path) -> Path:
    """Two photos and a table of their labels, as NIPS17 DEV has them."""
    folder = tmp_path / "nips"
    (folder / "images").mkdir(parents=True)
    for name in ("b.png", "a.jpg"):
        (folder / "images" / name).write_bytes(jpeg())
    (folder / "labels.csv").write_text("ImageId,URL,TrueLabel\na,http://a,306\nb,http://b,1000\n")
    return folder


def test_a_table_labels_photos_of_imagenet(nips: Path, tmp_path: Path) -> None:
    """TrueLabel counts from 1; a folder and a tar file are read alike."""
    with tarfile.open(tmp_path / "nips.tar", "w") as tar:
        tar.add(nips, "nips")
    assert [photo.label for photo in labelled_photos(nips, IMAGENET)] == [305, 999]
    assert labelled_photos(nips, IMAGENET) == labelled_photos(tmp_path / "nips.tar", IMAGENET)


def test_a_bundle_of_other_classes_passes_the_table_over(nips: Path) -> None:
    """Labels of ImageNet mean nothing to it, so the folder must name a class."""
    with pytest.raises(PhotoError, match="folder 'images' is no class of this bundle"):
        labelled_photos(nips, MANIFEST)


@pytest.mark.parametrize("label", ["0", "1001", "cat"])
def test_a_label_outside_imagenet_is_named(nips: Path, label: str) -> None:
    """The error names table, photo and value."""
    (nips / "labels.csv").write_text(f"ImageId,TrueLabel\na,{label}\n")
    with pytest.raises(PhotoError, match=rf"labels.csv: TrueLabel of a is {label}; expected a number in 1..1000"):
        labelled_photos(nips, IMAGENET)


def test_a_thousand_classes_are_not_listed(folder: Path) -> None:
    """Without a table the folders count, and the error stays a line."""
    with pytest.raises(PhotoError, match=r"it knows class 0, .*, class 11 and 988 more$"):
        labelled_photos(folder, IMAGENET)
