"""Inputs to validate with: real photos, or synthetic ones where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_runtime.models.bundle import FrameSpec, Kind, Triple

Sample = dict[str, "NDArray[Any]"]
"""Named inputs of one run, batch 1."""


def photos_for(frame: FrameSpec, source: Path | None, count: int) -> NDArray[np.uint8]:
    """``count`` photos ``[count, S, S, 3]``: an even sample of ``source``, or synthetic ones without it."""
    if source is None:
        return synthetic_photos(frame.size, count)
    from exporters.training.photos import load_photos

    return np.asarray(load_photos(source, frame.size, count).pixels.numpy())


def synthetic_photos(size: int, count: int) -> NDArray[np.uint8]:
    """Soft blobs of colour under fine grain: closer to photos than white noise, and the same every time."""
    rng = np.random.default_rng(0)
    photos = np.empty((count, size, size, 3), np.uint8)
    for photo in photos:
        blobs = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
        soft = np.asarray(blobs.resize((size, size), Image.Resampling.BICUBIC), np.float32)
        photo[:] = (soft + rng.normal(0, 8, soft.shape)).clip(0, 255)
    return photos


def samples_of(kind: Kind, photos: NDArray[np.uint8], mean: Triple, std: Triple, patch: int) -> list[Sample]:
    """One sample per photo ``[B, S, S, 3]``. Where a kind takes patches, these are ever smaller random subsets.

    The first sample always holds every patch. ``vit-update`` needs states too, see `with_states`: there the subset is
    what arrived since.
    """
    normalised = (photos.astype(np.float32) - np.array(mean, np.float32)) / np.array(std, np.float32)
    images = np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))[:, None]
    if kind in ("vit-tokens", "mae-recovery"):
        return [_subset(image, patch, positions) for image, positions in _subsets(images, patch)]
    if kind not in ("vit-states", "vit-update"):
        return [{"image": image} for image in images]
    samples: list[Sample] = []
    for image, positions in _subsets(images, patch):
        visible = np.zeros((1, (image.shape[-1] // patch) ** 2), np.float32)
        if kind == "vit-states":
            visible[0, positions] = 1
            samples.append({"image": image, "visible": visible})
        else:
            samples.append({"image": image, "visible": visible + 1, "positions": positions[None]})
    return samples


def with_states(samples: list[Sample], first: Callable[[Sample], Sample]) -> list[Sample]:
    """Samples of ``vit-update`` with the ``states`` that ``first`` finds before their ``positions`` are visible."""
    complete = []
    for sample in samples:
        before = sample["visible"].copy()
        before[0, sample["positions"][0]] = 0
        states = first({"image": sample["image"], "visible": before})["states"]
        complete.append(sample | {"states": states})
    return complete


def _subsets(images: NDArray[np.float32], patch: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Each image with the positions of ever fewer of its patches."""
    rng = np.random.default_rng(0)
    count = (images.shape[-1] // patch) ** 2
    for i, image in enumerate(images):
        share = 1 - i / len(images)
        yield image, np.sort(rng.permutation(count)[: max(1, round(share * count))]).astype(np.int64)


def _subset(image: NDArray[np.float32], patch: int, positions: NDArray[np.int64]) -> Sample:
    grid = image.shape[-1] // patch
    patches = image.reshape(3, grid, patch, grid, patch).transpose(1, 3, 0, 2, 4).reshape(grid * grid, -1)
    return {"patches": patches[None, positions], "positions": positions[None]}
