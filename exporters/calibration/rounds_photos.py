"""Photos to calibrate two rounds on, undecoded, with their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime.errors import ArgumentError, PhotoError
from edge_runtime.photos import photo_files

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.models.bundle import Manifest


class LabelledPhoto(NamedTuple):
    """A photo's class index and its file's bytes."""

    label: int
    data: bytes


def labelled_photos(source: Path, manifest: Manifest, every: int, limit: int | None) -> list[LabelledPhoto]:
    """Each ``every``-th photo of a folder or tar file, sorted by name, and of those an even sample of ``limit``.

    Class folders bear the class's name or the one that the bundle lists. Raises PhotoError, and ArgumentError for an
    ``every`` or ``limit`` below 1.
    """
    for name, value in (("every", every), ("limit", limit)):
        if value is not None and value < 1:
            raise ArgumentError(f"{name}: {value} is less than 1")
    files = photo_files(source)[::every]
    if limit is not None and limit < len(files):
        files = [files[i] for i in np.linspace(0, len(files) - 1, limit).astype(int)]
    labels = {folder: i for names in (manifest.classes, manifest.class_folders) for i, folder in enumerate(names)}
    folders = [name.split("/")[-2] for name, _ in files]
    if unknown := set(folders) - set(labels):
        raise PhotoError(f"{source}: folder {min(unknown)!r} is no class of this bundle; name folders as it does")
    return [LabelledPhoto(labels[folder], data) for folder, (_, data) in zip(folders, files, strict=True)]
