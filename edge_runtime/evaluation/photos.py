"""Photos from a folder or tar file, one at a time, at the bundle's frame size."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from edge_runtime import kernels
from edge_runtime.errors import PhotoError
from edge_runtime.kernels import Geometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.models.bundle import FrameSpec, Manifest

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class Photo(NamedTuple):
    """An undecoded photo with the class index its folder stands for."""

    name: str
    label: int
    data: bytes


def open_frame(source: str | Path | bytes, spec: FrameSpec) -> NDArray[np.uint8]:
    """Decode a photo (a path or a file's bytes) and bring it to the bundle's frame, uint8 ``[size, size, 3]``."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        name = "photo" if isinstance(source, bytes) else source
        raise PhotoError(f"{name}: cannot be read as a picture ({error})") from error
    geometry = Geometry(size=spec.size, resize=spec.resize, interpolation=spec.interpolation)
    return kernels.frame(np.ascontiguousarray(pixels), geometry)


def labelled_photos(source: Path, manifest: Manifest, *, every: int = 1, limit: int | None = None) -> list[Photo]:
    """Photos of ``<class>/<name>``, sorted by class folder and name.

    A class folder bears the class's name or the name the bundle lists in ``class_folders``. ``every`` keeps each n-th
    photo starting with the first, ``limit`` an even sample of what is left. Raises ``PhotoError``.
    """
    entries = sorted(_entries(source))[::every]
    if not entries:
        raise PhotoError(f"{source}: no photo found; expected <class>/<name>.jpg inside a folder or tar file")
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


def _entries(source: Path) -> list[tuple[str, bytes]]:
    if source.is_dir():
        paths = [path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES]
        return [(path.relative_to(source.parent).as_posix(), path.read_bytes()) for path in paths]
    try:
        with tarfile.open(source) as tar:
            members = [m for m in tar if m.isfile() and m.name.lower().endswith(SUFFIXES) and "/" in m.name]
            return [(member.name, file.read()) for member in members if (file := tar.extractfile(member))]
    except (OSError, tarfile.TarError) as error:
        raise PhotoError(f"{source}: cannot be read as a folder or tar file of photos ({error})") from error
