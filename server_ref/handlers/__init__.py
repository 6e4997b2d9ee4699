"""One handler per kind of payload that shows a frame: its bytes and the frame's size in, `Picture` out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_ref.handlers import image, patches, samples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_runtime.messages import PayloadKind
    from server_ref.picture import Picture

HANDLERS: Mapping[PayloadKind, Callable[[bytes, int, int], Picture]] = {
    "image": image.handle,
    "patches": patches.handle,
    "samples": samples.handle,
}
