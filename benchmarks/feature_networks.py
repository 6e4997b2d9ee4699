"""A split network opened for the race: photos to feature maps, feature maps to logits, both in batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from feature_rivals import ours, photo_rivals, rivals

from edge_runtime.kernels import normalise
from edge_runtime.models import Bundle, open_model
from edge_runtime.photos import open_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from feature_rivals import Codec, Shape
    from numpy.typing import NDArray

    from edge_runtime.labelled_photos import Photo
    from edge_runtime.models.bundle import SplitSpec

# The cut before everything: the photo is sent, the server runs the whole network.
PHOTO = "photo"
PROBED = 16


@dataclass(frozen=True)
class Split:
    """One cut; ``prefix`` maps uint8 frames ``[B, S, S, 3]`` to what is sent, ``suffix`` that to logits."""

    shape: Shape
    nonnegative: bool
    codecs: list[Codec]
    prefix: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    suffix: Callable[[NDArray[np.float32]], NDArray[np.float32]]

    def choose(self, names: Sequence[str]) -> list[Codec]:
        """The codecs of these names."""
        return [codec for codec in self.codecs if codec.name in names]


@cache
def open_split(folder: Path, cut: str) -> Split:
    """Open both halves of a bundle's ``cut``, or the whole network behind the photo itself."""
    bundle = Bundle.load(folder)
    if cut == PHOTO:
        whole = _halves(bundle, bundle.manifest.splits[0])
        side = bundle.frame.size
        return Split((3, side, side), False, photo_rivals(), _unchanged, lambda p: whole.suffix(whole.prefix(p)))
    return _halves(bundle, bundle.split(cut))


def never_negative(split: Split, photos: NDArray[np.uint8]) -> bool:
    """Whether a few photos' values are never negative, as behind a ReLU."""
    return bool(split.prefix(photos[:PROBED]).min() >= 0)


def frames(bundle: Bundle, photos: Sequence[Photo]) -> NDArray[np.uint8]:
    """Photos as the network sees them, before normalising."""
    return np.stack([open_frame(photo.data, bundle.frame) for photo in photos])


def _unchanged(photos: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return photos


def _halves(bundle: Bundle, spec: SplitSpec) -> Split:
    edge = bundle.model("edge", spec.prefix)
    first, second = open_model(bundle, edge), open_model(bundle, bundle.model("server", spec.suffix))
    mean, std = np.array(edge.mean, np.float32), np.array(edge.std, np.float32)
    channels, height, width = edge.files[0].outputs[0].shape[-3:]

    def prefix(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        images = np.stack([normalise(photo, mean, std) for photo in photos])
        return first.run({"image": images})["features"]

    def suffix(features: NDArray[np.float32]) -> NDArray[np.float32]:
        return second.run({"features": features})["logits"]

    shape = (channels, height, width)
    codecs = [*ours(bundle.read(spec.tables)), *rivals(shape)]
    return Split(shape, False, codecs, prefix, suffix)
