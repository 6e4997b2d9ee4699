"""Every mode of a family on labelled photos: how many are answered right, and in how many bytes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from tqdm import tqdm

from edge_runtime.control.modes import ModeFigures, ModeTable
from edge_runtime.photos import open_frame
from exporters.validate_samples import samples_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.codecs.latents import LatentCodec
    from edge_runtime.labelled_photos import Photo
    from edge_runtime.models import Model
    from edge_runtime.models.bundle import FrameSpec, Triple
    from exporters.calibration.latents import LatentEncoders

# What is rarely exceeded.
MOST_PERCENT = 95


class Measured(NamedTuple):
    """One photo in M modes: which answers are ``right [M]``, their ``sizes [M]``, whether the whole network's is."""

    right: NDArray[np.bool_]
    sizes: NDArray[np.int64]
    teacher_right: bool
    server_ms: float


class ModeMeasurement:
    """Runs photos through every mode, with the codec and the exported models of both sides.

    ``network`` is the whole one, which takes photos normalised with ``mean`` and ``std`` (0..255 units), losslessly.
    """

    def __init__(
        self, encoders: LatentEncoders, codec: LatentCodec, decoder: Model, network: Model, mean: Triple, std: Triple
    ) -> None:
        self._encoders, self._codec = encoders, codec
        self._decoder, self._network = decoder, network
        self._mean, self._std = mean, std
        self.modes = [(number, levels) for number in range(1, codec.encoders + 1) for levels in codec.levels]

    def table(self, photos: Sequence[Photo], frame: FrameSpec) -> ModeTable:
        """The modes' file, of all ``photos``."""
        measured = [
            self._photo(place, open_frame(photo.data, frame), photo.label)
            for place, photo in enumerate(tqdm(photos, "measuring modes", unit="photo", mininterval=5))
        ]
        accuracy = np.mean([one.right for one in measured], axis=0)
        sizes = np.array([one.sizes for one in measured])
        return ModeTable(
            photos=len(measured),
            teacher_accuracy=round(float(np.mean([one.teacher_right for one in measured])), 5),
            server_ms=round(float(np.median([one.server_ms for one in measured])), 3),
            modes=tuple(
                _figures(number, levels, float(share), size)
                for (number, levels), share, size in zip(self.modes, accuracy, sizes.T, strict=True)
            ),
        )

    def _photo(self, place: int, pixels: NDArray[np.uint8], label: int) -> Measured:
        latents = self._encoders.latents(pixels)
        payloads = [self._codec.encode(latents[number - 1], number, levels) for number, levels in self.modes]
        received = np.stack([self._codec.decode(payload) for payload in payloads])
        right = self._decoder.run({"latent": received})["logits"].argmax(axis=1) == label
        (sample,) = samples_of("cnn-filled", pixels[np.newaxis], self._mean, self._std, 1)
        teacher_right = bool(self._network.run(sample)["logits"].argmax() == label)
        # As a server gets them: one at a time, of one mode after the other.
        server_ms = self._served_ms(payloads[place % len(payloads)])
        return Measured(right, np.array([len(payload) for payload in payloads]), teacher_right, server_ms)

    def _served_ms(self, payload: bytes) -> float:
        started_s = time.perf_counter()
        self._decoder.run({"latent": self._codec.decode(payload)[np.newaxis]})
        return (time.perf_counter() - started_s) * 1e3


def _figures(encoders: int, levels: int, accuracy: float, sizes: NDArray[np.int64]) -> ModeFigures:
    known = {"encoders": encoders, "levels": levels, "accuracy": round(accuracy, 5)}
    most = float(np.percentile(sizes, MOST_PERCENT))
    return msgspec.convert(
        {**known, "bytes": {"mean": round(float(sizes.mean()), 1), "most": round(most, 1)}}, ModeFigures
    )
