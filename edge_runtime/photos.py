"""Photos from a folder, a tar file or bytes, brought to a frame."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edge_runtime import kernels
from edge_runtime.errors import PhotoError
from edge_runtime.kernels import Geometry

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_runtime.models.bundle import FrameSpec

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def open_frame(source: str | Path | bytes, spec: FrameSpec) -> NDArray[np.uint8]:
    """Decode a photo (a path or a file's bytes) and bring it to the bundle's frame, uint8 ``[size, size, 3]``."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        name = "photo" if isinstance(source, bytes) else source
        raise PhotoError(f"{name}: cannot be read as a picture ({error})") from error
    return fit(pixels, spec)


def fit(pixels: NDArray[np.uint8], spec: FrameSpec) -> NDArray[np.uint8]:
    """Bring a picture, uint8 ``[height, width, 3]``, RGB, to the bundle's frame, uint8 ``[size, size, 3]``."""
    geometry = Geometry(size=spec.size, resize=spec.resize, interpolation=spec.interpolation)
    return kernels.frame(np.ascontiguousarray(pixels), geometry)


def photo_files(source: Path) -> list[tuple[str, bytes]]:
    """Name, ``…/<class>/<photo>``, and bytes of every photo in a folder or tar file, sorted by name.

    Raises ``PhotoError`` when there is none.
    """
    files = [(name, data) for name, data in stored_files(source, SUFFIXES) if "/" in name]
    if not files:
        raise PhotoError(f"{source}: no photo found; expected <class>/<name>.jpg inside a folder or tar file")
    return files


def stored_files(source: Path, suffixes: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """Name and bytes of every file in a folder or tar file with one of the suffixes, in lower case, sorted by name.

    Names in a folder begin with the folder's own. Raises ``PhotoError`` for what is neither.
    """
    return sorted(_from_folder(source, suffixes) if source.is_dir() else _from_tar(source, suffixes))


def _from_folder(source: Path, suffixes: tuple[str, ...]) -> list[tuple[str, bytes]]:
    paths = [path for path in source.rglob("*") if path.suffix.lower() in suffixes]
    return [(path.relative_to(source.parent).as_posix(), path.read_bytes()) for path in paths]


def _from_tar(source: Path, suffixes: tuple[str, ...]) -> list[tuple[str, bytes]]:
    try:
        with tarfile.open(source) as tar:
            members = [member for member in tar if member.isfile() and member.name.lower().endswith(suffixes)]
            return [(member.name, file.read()) for member in members if (file := tar.extractfile(member))]
    except (OSError, tarfile.TarError) as error:
        raise PhotoError(f"{source}: cannot be read as a folder or tar file of photos ({error})") from error
