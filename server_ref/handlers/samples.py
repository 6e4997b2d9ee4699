"""Payload ``samples``: patches of the frame that a seed chose."""

from __future__ import annotations

from edge_runtime.codecs import samples
from server_ref.picture import Picture


def handle(data: bytes, frame_size: int, patch_size: int) -> Picture:
    """Decode the patches of a frame of ``frame_size`` pixels a side; raises PayloadError."""
    side = frame_size // patch_size
    return Picture(*samples.decode(data, (side, side), patch_size))
