"""Payload ``image``: the whole frame as a picture file."""

from __future__ import annotations

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs import image
from edge_runtime.errors import PayloadError
from server_ref.picture import Picture


def handle(data: bytes, frame_size: int, patch_size: int) -> Picture:
    """Decode a frame of exactly ``frame_size`` pixels a side and cut it into all its patches; raises PayloadError."""
    pixels = image.decode(data, frame_size)
    height, width = pixels.shape[:2]
    if (height, width) != (frame_size, frame_size):
        raise PayloadError(f"image: {width} × {height} is not the bundle's frame of {frame_size} × {frame_size}")
    indices = np.arange((frame_size // patch_size) ** 2, dtype=np.uint16)
    return Picture(indices, kernels.gather(pixels, indices, patch_size))
