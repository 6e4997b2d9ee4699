"""Labelled photos: by the class folder each lies in, or by a table of ImageNet labels beside them."""

from __future__ import annotations

import csv
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime.errors import ArgumentError, PhotoError
from edge_runtime.photos import photo_files, stored_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_runtime.models.bundle import Manifest

IMAGENET_CLASSES = 1000
# Columns of a table of labels, as NIPS17 DEV has it: the photo's name without suffix, and its class, counted from 1.
NAME, LABEL = "ImageId", "TrueLabel"
NAMED_CLASSES = 12


class Photo(NamedTuple):
    """An undecoded photo with its class index."""

    name: str
    label: int
    data: bytes


def labelled_photos(source: Path, manifest: Manifest, *, every: int = 1, limit: int | None = None) -> list[Photo]:
    """Photos of a folder or tar file, sorted by name.

    They lie in class folders, which bear the class's name or the one that the bundle lists in ``class_folders``; or,
    where the bundle knows ImageNet's 1,000 classes, a CSV file among them labels them in columns ``ImageId`` and
    ``TrueLabel`` (from 1). ``every`` keeps each n-th photo starting with the first, ``limit`` an even sample of what is
    left. Raises ``PhotoError``, and ``ArgumentError`` for an ``every`` or ``limit`` below 1.
    """
    for name, value in (("every", every), ("limit", limit)):
        if value is not None and value < 1:
            raise ArgumentError(f"{name}: {value} is less than 1")
    entries = photo_files(source)[::every]
    if limit is not None and limit < len(entries):
        entries = [entries[i] for i in np.linspace(0, len(entries) - 1, limit).astype(int)]
    label = _by_table(source, manifest) or _by_folder(source, manifest)
    return [Photo(name, label(name), data) for name, data in entries]


def _by_folder(source: Path, manifest: Manifest) -> Callable[[str], int]:
    labels = _numbered(manifest.classes) | _numbered(manifest.class_folders)

    def label(name: str) -> int:
        folder = name.split("/")[-2]
        if folder not in labels:
            known = _shortened(manifest.class_folders or manifest.classes)
            raise PhotoError(f"{source}: folder {folder!r} is no class of this bundle; it knows {known}")
        return labels[folder]

    return label


def _by_table(source: Path, manifest: Manifest) -> Callable[[str], int] | None:
    if len(manifest.classes) != IMAGENET_CLASSES:
        return None
    for name, data in stored_files(source, (".csv",)):
        rows = csv.DictReader(data.decode("utf-8", "replace").splitlines())
        if {NAME, LABEL} <= set(rows.fieldnames or ()):
            return _from_table(name, {row[NAME]: row[LABEL] for row in rows})
    return None


def _from_table(table: str, labels: dict[str, str]) -> Callable[[str], int]:
    def label(name: str) -> int:
        stem = PurePosixPath(name).stem
        given = labels.get(stem)
        if given is None or not given.isdecimal() or not 1 <= int(given) <= IMAGENET_CLASSES:
            raise PhotoError(f"{table}: {LABEL} of {stem} is {given}; expected a number in 1..{IMAGENET_CLASSES}")
        return int(given) - 1

    return label


def _numbered(names: Sequence[str]) -> dict[str, int]:
    return {name: index for index, name in enumerate(names)}


def _shortened(names: Sequence[str]) -> str:
    more = len(names) - NAMED_CLASSES
    return ", ".join(names[:NAMED_CLASSES]) + (f" and {more} more" if more > 0 else "")
