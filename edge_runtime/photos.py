"""Photos from a folder, a tar file or bytes, brought to a frame."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from edge_runtime import kernels
from edge_runtime.errors import PhotoError
from edge_runtime.kernels import Geometry
from edge_runtime.kernels.image import MAX_SIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

    from edge_runtime.models.bundle import FrameSpec

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
READERS: dict[bytes, Callable[[BinaryIO], ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"RIFF": WebPImageFile,
}


# Nobody's photo is larger, or narrower; what its header says is checked before room is made for its pixels.
MAX_PIXELS = 40_000_000
MAX_RATIO = 100


def open_frame(source: str | Path | bytes, spec: FrameSpec, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a photo (a path or a file's bytes) and bring it to the bundle's frame, uint8 ``[size, size, 3]``.

    It is a JPEG, PNG or WebP; of several pictures the first is taken, alpha is left out, and an orientation in EXIF is
    not followed. Raises PhotoError, before any pixel is decoded for one with more than ``max_pixels``.
    """
    name = "photo" if isinstance(source, bytes) else source
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
            pixels = _decode(file, max_pixels)
    # Whatever Pillow makes of bad bytes: its warnings are errors where somebody wants that.
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, Warning) as error:
        raise PhotoError(f"{name}: cannot be read as a picture ({error})") from error
    return fit(pixels, spec)


def _decode(file: BinaryIO, max_pixels: int) -> NDArray[np.uint8]:
    head = file.read(30)
    file.seek(0)
    if head[:4] == b"RIFF":
        # Pillow makes room for the whole picture of a WebP when it opens one.
        _check_size(*_webp_size(head), max_pixels)
    reader = next((reader for magic, reader in READERS.items() if head.startswith(magic)), None)
    if reader is None:
        raise ValueError("neither JPEG, PNG nor WebP")
    # Not by Image.open, which warns of large photos where we know what is too large.
    with reader(file) as image:
        _check_size(image.width, image.height, max_pixels)
        # Pillow warns of what does not concern pictures without alpha.
        image.info.pop("transparency", None)
        if image.mode.startswith("I"):
            # Grey of 16 bits: Pillow would cut what is above 255 instead of scaling it.
            return np.repeat((np.asarray(image)[..., None] >> 8).astype(np.uint8), 3, axis=2)
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _webp_size(head: bytes) -> tuple[int, int]:
    """Width and height in a header of any of the three forms."""
    form = head[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if form == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def _check_size(width: int, height: int, max_pixels: int) -> None:
    longer, shorter = max(width, height), max(1, min(width, height))
    if width * height > max_pixels or longer > MAX_SIDE or longer > MAX_RATIO * shorter:
        most = f"{max_pixels} pixels, {MAX_SIDE} along a side, and {MAX_RATIO} times as long as wide"
        raise ValueError(f"{width} × {height}; take at most {most}")


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
