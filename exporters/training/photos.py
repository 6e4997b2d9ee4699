"""Training photos in memory: decoded once, augmented on the fly, with a fixed part set aside for tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from edge_runtime.models.bundle import FrameSpec
from edge_runtime.photos import open_frame, photo_files

if TYPE_CHECKING:
    from pathlib import Path

TUNING_EVERY = 12
"""Every twelfth photo of the training split is never trained on: gates and thresholds are chosen there."""


@dataclass(frozen=True)
class Photos:
    """Decoded photos: ``pixels`` uint8 ``[count, size, size, 3]``, ``labels`` int64 ``[count]``."""

    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def split_for_tuning(self) -> tuple[Photos, Photos]:
        """Return (photos to train on, photos held out for tuning)."""
        held_out = torch.arange(len(self)) % TUNING_EVERY == 0
        return self.subset(~held_out), self.subset(held_out)

    def subset(self, which: Tensor) -> Photos:
        """The photos selected by a mask or an index list."""
        return Photos(self.pixels[which], self.labels[which], self.classes)


def load_photos(source: Path, size: int = 224, limit: int | None = None) -> Photos:
    """Read ``<class>/<name>`` photos from a folder or tar file, sorted by class and name.

    Photos that are not ``size`` × ``size`` have their shorter side resized and are centre-cropped. ``limit`` keeps
    an even sample of that many photos.
    """
    entries = photo_files(source)
    classes = tuple(sorted({name.split("/")[-2] for name, _ in entries}))
    if limit is not None and limit < len(entries):
        entries = [entries[i] for i in np.linspace(0, len(entries) - 1, limit).astype(int)]
    frame = FrameSpec(size=size, patch=size, resize=size)
    pixels = np.empty((len(entries), size, size, 3), np.uint8)
    for i, (_, data) in enumerate(tqdm(entries, desc=f"reading {source.name}", unit="photo", mininterval=5)):
        pixels[i] = open_frame(data, frame)
    labels = [classes.index(name.split("/")[-2]) for name, _ in entries]
    return Photos(torch.from_numpy(pixels), torch.tensor(labels), classes)


def augment(pixels: Tensor, generator: torch.Generator, *, smallest_crop: float) -> Tensor:
    """Random resized crop and flip of a uint8 batch ``[B, size, size, 3]``; returns float32 ``[B, 3, size, size]``.

    Values stay in 0..255. Each photo gets a random square of at least ``smallest_crop`` of the side, stretched back by
    bilinear interpolation, and is mirrored half of the time.
    """
    size = pixels.shape[1]
    batch = pixels.permute(0, 3, 1, 2).float()
    out = torch.empty_like(batch)
    sides = (size * (smallest_crop + (1 - smallest_crop) * torch.rand(len(batch), generator=generator))).int()
    for i, side in enumerate(sides.tolist()):
        top, left = torch.randint(0, size - side + 1, (2,), generator=generator).tolist()
        crop = batch[i : i + 1, :, top : top + side, left : left + side]
        out[i] = F.interpolate(crop, size=(size, size), mode="bilinear")[0] if side < size else crop[0]
    flips = torch.rand(len(batch), generator=generator) < 0.5
    out[flips] = out[flips].flip(-1)
    return out


def normalise(images: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """Subtract ``mean`` and divide by ``std`` (both in 0..255 units) per channel."""
    return (images - images.new_tensor(mean).view(3, 1, 1)) / images.new_tensor(std).view(3, 1, 1)
