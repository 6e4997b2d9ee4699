"""Labelled photos: which class of the bundle each folder stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime.errors import PhotoError
from edge_runtime.photos import photo_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.models.bundle import Manifest


class Photo(NamedTuple):
    """An undecoded photo with the class index its folder stands for."""

    name: str
    label: int
    data: bytes


def labelled_photos(source: Path, manifest: Manifest, *, every: int = 1, limit: int | None = None) -> list[Photo]:
    """Photos of ``<class>/<name>``, sorted by class folder and name.

    A class folder bears the class's name or the name the bundle lists in ``class_folders``. ``every`` keeps each n-th
    photo starting with the first, ``limit`` an even sample of what is left. Raises ``PhotoError``.
    """
    entries = photo_files(source)[::every]
    if limit is not None and limit < len(entries):
        entries = [entries[i] for i in np.linspace(0, len(entries) - 1, limit).astype(int)]
    labels = _labels(manifest)
    photos = []
    for name, data in entries:
        folder = name.split("/")[-2]
        if folder not in labels:
            known = ", ".join(manifest.class_folders or manifest.classes)
            raise PhotoError(f"{source}: folder {folder!r} is no class of this bundle; it knows {known}")
        photos.append(Photo(name, labels[folder], data))
    return photos


def _labels(manifest: Manifest) -> dict[str, int]:
    def numbered(names: Sequence[str]) -> dict[str, int]:
        return {name: index for index, name in enumerate(names)}

    return numbered(manifest.classes) | numbered(manifest.class_folders)
