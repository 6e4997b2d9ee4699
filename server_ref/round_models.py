"""What the models of two rounds compute: a first look at a picture with holes, and a light second one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime.errors import BundleError
from edge_runtime.models import open_model
from edge_runtime.models.execution import DEFAULT_EXECUTION, Execution
from server_ref.normaliser import Normaliser
from server_ref.picture import paste

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import RoundsSpec
    from server_ref.picture import Picture


class Look(NamedTuple):
    """What a first look found: float32 ``logits [classes]``, uncalibrated, and what a second one needs.

    ``attention`` is the class token's row of the last layer, float32 ``[heads, 1 + n]``. ``patches`` float32
    ``[n, 3, p, p]`` are what the classifier saw, normalised: as they came, recovered where they did not; ``image`` is
    the same as one picture, float32 ``[1, 3, size, size]``. ``states`` are the classifier's, as it gave them.
    """

    logits: NDArray[np.float32]
    attention: NDArray[np.float32]
    patches: NDArray[np.float32]
    image: NDArray[np.float32]
    states: NDArray[Any]


class RoundModels:
    """The recovery, the classifier and its update that ``rounds`` names.

    Raises BundleError when they are not normalised alike, and ModelError. Not to be shared between threads.
    """

    def __init__(self, bundle: Bundle, rounds: RoundsSpec, execution: Execution = DEFAULT_EXECUTION) -> None:
        specs = [bundle.model("server", name) for name in (rounds.classifier, rounds.recovery, rounds.update)]
        if len({(one.mean, one.std) for one in specs}) > 1:
            raise BundleError(f"{', '.join(one.name for one in specs)}: differ in mean or std, export them with one")
        self._classifier, self._recovery, self._update = (open_model(bundle, one, execution) for one in specs)
        self._normalise = Normaliser(specs[0])
        # No pixel lies beyond them.
        self._black, self._white = self._normalise(np.array([[[[0] * 3]], [[[255] * 3]]], np.uint8))
        self._frame = bundle.frame

    def look(self, picture: Picture) -> Look:
        """Recover what is missing, and classify."""
        patches = self._recover(picture)
        image = np.empty((1, 3, self._frame.size, self._frame.size), np.float32)
        paste(patches, np.arange(len(patches), dtype=np.uint16), image)
        seen = self._classifier.run({"image": image, "visible": self._visible(picture.indices)})
        return Look(seen["logits"][0], seen["attention"][0], patches, image, seen["states"])

    def update(
        self, image: NDArray[np.float32], states: NDArray[Any], visible: NDArray[np.uint16], arrived: Picture
    ) -> NDArray[np.float32]:
        """Logits float32 ``[classes]`` now that more patches have ``arrived``.

        ``image`` and ``states`` are those of a look at the patches ``visible`` before, uint16 ``[k]``.
        """
        changed = image.copy()
        paste(self._normalise(arrived.patches), arrived.indices, changed)
        inputs = {
            "image": changed,
            "visible": self._visible(np.concatenate([visible, arrived.indices])),
            "states": states,
            "positions": arrived.indices.astype(np.int64)[np.newaxis],
        }
        logits: NDArray[np.float32] = self._update.run(inputs)["logits"][0]
        return logits

    def _visible(self, indices: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Float32 ``[1, n]``: 1 where a patch came."""
        visible = np.zeros((1, self._frame.grid**2), np.float32)
        visible[0, indices] = 1
        return visible

    def _recover(self, picture: Picture) -> NDArray[np.float32]:
        """All patches ``[n, 3, p, p]``, normalised: as they came, recovered where they did not."""
        patches = self._normalise(picture.patches)
        if len(patches) == self._frame.grid**2:
            everything = np.empty(patches.shape, np.float32)
        else:
            tokens = np.ascontiguousarray(patches).reshape(1, len(patches), -1)
            positions = picture.indices.astype(np.int64)[np.newaxis]
            recovered = self._recovery.run({"patches": tokens, "positions": positions})["recovered"]
            everything = np.clip(recovered.reshape(-1, *patches.shape[1:]), self._black, self._white)
        everything[picture.indices] = patches
        return everything
