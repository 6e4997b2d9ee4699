"""Some patches as the body of a payload: their pixels as they are, or one compressed row (docs/formats/patches.md).

The patches lie side by side in one row. Of the layouts measured, that row is the smallest at equal quality: nothing is
spent on patches that are not sent, and a patch touches only its left and right neighbour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from edge_runtime.codecs import jpeg, webp
from edge_runtime.errors import ArgumentError, PayloadError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PatchCodec = Literal["raw", "jpeg", "webp"]

CODECS: tuple[PatchCodec, ...] = get_args(PatchCodec)
MAX_WIDTH = {"raw": 1 << 24, "jpeg": jpeg.MAX_SIDE, "webp": webp.MAX_SIDE}
MAX_SIDE = 255
MAX_COUNT = 65535


def encode(patches: NDArray[np.uint8], codec: PatchCodec, quality: int) -> bytes:
    """Compress patches uint8 ``[k, p, p, 3]``, k at least 1, p at most 255; ``quality`` is 1..100 and means nothing to
    ``raw``. Raises ArgumentError.
    """
    _check(patches, codec, quality)
    if codec == "raw":
        return patches.tobytes()
    count, side = patches.shape[:2]
    row = np.ascontiguousarray(patches.transpose(1, 0, 2, 3)).reshape(side, count * side, 3)
    return jpeg.encode(row, quality) if codec == "jpeg" else webp.encode(row, quality)


def decode(body: bytes, count: int, side: int, codec: PatchCodec, quality: int) -> NDArray[np.uint8]:
    """Rebuild ``count`` patches uint8 ``[count, side, side, 3]``, possibly read-only. Raises PayloadError."""
    width = count * side
    if width > MAX_WIDTH[codec]:
        raise PayloadError(f"patches: {count} of {side} pixels are wider than the {MAX_WIDTH[codec]} of {codec!r}")
    if codec == "raw":
        expected = width * side * 3
        if len(body) != expected:
            raise PayloadError(f"patches: raw body of {len(body)} bytes, {count} patches have {expected}")
        return np.frombuffer(body, np.uint8).reshape(count, side, side, 3)
    row = jpeg.decode(body, width, side, quality) if codec == "jpeg" else webp.decode(body, width, side)
    return np.ascontiguousarray(row.reshape(side, count, side, 3).transpose(1, 0, 2, 3))


def _check(patches: NDArray[np.uint8], codec: PatchCodec, quality: int) -> None:
    shape = patches.shape
    if patches.dtype != np.uint8 or patches.ndim != 4 or shape[1] != shape[2] or shape[3] != 3:
        raise ArgumentError(f"patches: {patches.dtype}{list(shape)} is not uint8[k, p, p, 3]")
    count, side = shape[:2]
    if not (1 <= count <= MAX_COUNT and 1 <= side <= MAX_SIDE):
        raise ArgumentError(
            f"patches: {count} of {side} pixels, send at least one, at most {MAX_COUNT}, of 1..{MAX_SIDE} pixels"
        )
    if codec not in CODECS:
        raise ArgumentError(f"codec: {codec!r} is unknown, use one of {', '.join(CODECS)}")
    if not 1 <= quality <= 100:
        raise ArgumentError(f"quality: {quality} is outside 1..100")
    if count * side > MAX_WIDTH[codec]:
        raise ArgumentError(
            f"patches: {count} of {side} pixels are wider than the {MAX_WIDTH[codec]} that {codec!r} holds, "
            "use another codec"
        )
