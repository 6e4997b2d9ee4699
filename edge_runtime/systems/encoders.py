"""The device's side of slimmable encoders: one family, loaded once, from which each frame takes as much as it may."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, BundleError
from edge_runtime.messages import Frame
from edge_runtime.models import open_model
from edge_runtime.models.execution import DEFAULT_EXECUTION, Execution

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import LatentSpec

WARM_UP_RUNS = 5


class Encoders:
    """The encoders of a family, for one frame at a time; not to be shared between threads.

    Another number of encoders is another loop bound: nothing is loaded for it. Raises BundleError, also where they do
    not see the same picture, and ModelError.
    """

    def __init__(
        self,
        bundle: Bundle,
        spec: LatentSpec,
        execution: Execution = DEFAULT_EXECUTION,
    ) -> None:
        models = [bundle.model("edge", name) for name in spec.encoders]
        if len({(model.mean, model.std) for model in models}) > 1:
            raise BundleError(f"{bundle.folder}: the encoders of {spec.name} differ in mean and std; give all the same")
        self.frame = bundle.frame
        self._sums = spec.sums
        self._models = [open_model(bundle, model, execution) for model in models]
        self._mean = np.array(models[0].mean, np.float32)
        self._std = np.array(models[0].std, np.float32)
        self._image = np.empty((1, 3, bundle.frame.size, bundle.frame.size), np.float32)

    def __len__(self) -> int:
        return len(self._models)

    def latent(self, frame: Frame, number: int) -> NDArray[np.float32]:
        """The latent float32 ``[C, H, W]`` of ``number`` encoders, added up in their order, or of the one so numbered.

        Raises ArgumentError for a number that there is not.
        """
        if not 1 <= number <= len(self._models):
            raise ArgumentError(f"encoders: {number} of {len(self._models)}; give 1..{len(self._models)}")
        kernels.normalise(frame.pixels, self._mean, self._std, out=self._image[0])
        latent = self._run(0 if self._sums else number - 1)
        for place in range(1, number if self._sums else 1):
            latent += self._run(place)
        return latent

    def warm_up(self) -> list[float]:
        """Run everything a few times; gives the median seconds of one encoder, of two, and so on."""
        blank = Frame(0, np.zeros((self.frame.size, self.frame.size, 3), np.uint8))
        return [self._median_s(blank, number) for number in range(1, len(self._models) + 1)]

    def _median_s(self, frame: Frame, number: int) -> float:
        taken_s = []
        for _ in range(1 + WARM_UP_RUNS):
            start = time.perf_counter()
            self.latent(frame, number)
            taken_s.append(time.perf_counter() - start)
        return statistics.median(taken_s[1:])

    def _run(self, place: int) -> NDArray[np.float32]:
        latent: NDArray[np.float32] = self._models[place].run({"image": self._image})["latent"][0]
        return latent
