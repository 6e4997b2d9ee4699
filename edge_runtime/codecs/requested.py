"""Payload ``requested``: the patches that a server asked for and remembers, in a second round
(docs/formats/requested.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.codecs import patch_row
from edge_runtime.codecs.patch_header import PatchHeader
from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.messages import SESSION_BYTES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.codecs.patch_row import PatchCodec

__all__ = ["SESSION_BYTES", "decode", "encode", "session_of"]

# Patch side, number of patches, session.
HEADER = PatchHeader("requested", b"ER", 1, f"BH{SESSION_BYTES}s")


def encode(session: bytes, patches: NDArray[np.uint8], codec: PatchCodec = "webp", quality: int = 50) -> bytes:
    """Pack patches uint8 ``[k, p, p, 3]``, in the order in which they were asked for, into one payload.

    ``session`` is the 16 bytes that came with the question; k is at least 1. ``quality`` is 1..100 and means nothing
    to ``raw``. Raises ArgumentError.
    """
    if len(session) != SESSION_BYTES:
        raise ArgumentError(f"session: {len(session)} bytes, the server gave {SESSION_BYTES}")
    body = patch_row.encode(patches, codec, quality)
    count, side = patches.shape[:2]
    return HEADER.seal(codec, quality, (side, count, session), body)


def session_of(data: bytes) -> bytes:
    """The session of a payload, by which a server finds what it asked for. Raises PayloadError."""
    _, _, (_, _, session) = HEADER.read(data)
    HEADER.content(data)
    return bytes(session)


def decode(data: bytes, k: int, patch: int) -> NDArray[np.uint8]:
    """Unpack a payload into patches uint8 ``[k, patch, patch, 3]``, possibly read-only.

    ``k`` patches of ``patch`` pixels were asked for: a payload of any others is refused before its body is looked at.
    Raises PayloadError.
    """
    codec, quality, (side, count, _) = HEADER.read(data)
    if (count, side) != (k, patch):
        raise PayloadError(f"requested: {count} patches of {side} pixels, asked for {k} of {patch}")
    return patch_row.decode(HEADER.content(data), k, patch, codec, quality)
