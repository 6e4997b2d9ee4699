"""From payloads to logits: one predictor per kind of server model, which says what payloads it takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edge_runtime import kernels
from edge_runtime.codecs.features import FeatureCodec
from edge_runtime.errors import BundleError
from edge_runtime.models import open_model
from server_ref.handlers import HANDLERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.messages import Payload, PayloadKind
    from edge_runtime.models import Bundle, Model, ModelSpec
    from edge_runtime.models.bundle import FrameSpec
    from server_ref.picture import Picture

    Inputs = dict[str, NDArray[Any]]


class Predictor(Protocol):
    """One served model.

    ``kinds`` are the payloads it takes, ``max_bytes`` is what a sensible one weighs at most. ``batches`` says whether
    the model answers several frames at a time; if not, `logits` is given one.
    """

    kinds: tuple[PayloadKind, ...]
    max_bytes: int
    batches: bool

    def decode(self, payload: Payload) -> Inputs:
        """The model's inputs, with a leading dimension of 1; raises PayloadError. May be called by many threads."""

    def logits(self, inputs: Sequence[Inputs]) -> NDArray[np.float32]:
        """Logits float32 ``[len(inputs), classes]`` from one run; never called by two threads at once."""


class _PicturePredictor:
    """What the predictors that look at pictures share."""

    kinds: tuple[PayloadKind, ...] = ("image", "patches")

    def __init__(self, model: Model, spec: ModelSpec, frame: FrameSpec) -> None:
        self.batches = _has_free_batch(model, spec)
        self.max_bytes = 3 * frame.size**2
        self._model = model
        self._frame = frame
        self._normalise = _Normaliser(spec)

    def _picture(self, payload: Payload) -> Picture:
        return HANDLERS[payload.kind](payload.data, self._frame.size, self._frame.patch)

    def logits(self, inputs: Sequence[Inputs]) -> NDArray[np.float32]:
        """Logits float32 ``[len(inputs), classes]``."""
        return _logits(self._model, inputs)


class VitPredictor(_PicturePredictor):
    """A vision transformer that looks at the received tokens only (kind ``vit-tokens``).

    Frames differ in their number of tokens, so they are run one by one.
    """

    def __init__(self, model: Model, spec: ModelSpec, frame: FrameSpec) -> None:
        super().__init__(model, spec, frame)
        self.batches = False

    def decode(self, payload: Payload) -> Inputs:
        """``patches`` float32 ``[1, N, 3 · patch²]`` and ``positions`` int64 ``[1, N]``."""
        picture = self._picture(payload)
        tokens = self._normalise(picture.patches)
        return {
            "patches": np.ascontiguousarray(tokens).reshape(1, len(tokens), -1),
            "positions": picture.indices.astype(np.int64)[np.newaxis],
        }


class CnnPredictor(_PicturePredictor):
    """A network on whole images that was trained with missing patches (kind ``cnn-filled``).

    What is missing is filled with the model's mean, which is zero once normalised.
    """

    def decode(self, payload: Payload) -> Inputs:
        """``image`` float32 ``[1, 3, size, size]``."""
        picture = self._picture(payload)
        size, patch = self._frame.size, picture.patches.shape[1]
        side = size // patch
        image = np.zeros((1, 3, size, size), np.float32)
        # The same memory as [row, column, channel, y, x]: one patch per (row, column).
        by_patch = image.reshape(3, side, patch, side, patch).transpose(1, 3, 0, 2, 4)
        by_patch[np.divmod(picture.indices, side)] = self._normalise(picture.patches)
        return {"image": image}


class SuffixPredictor:
    """The rest of a network, from one cut on (kind ``cnn-suffix``). ``codec`` holds the cut's tables."""

    kinds: tuple[PayloadKind, ...] = ("features",)

    def __init__(self, model: Model, spec: ModelSpec, codec: FeatureCodec) -> None:
        self.batches = _has_free_batch(model, spec)
        # As float16, the largest that a device has a reason to send.
        self.max_bytes = 2 * math.prod(codec.shape)
        self._model = model
        self._codec = codec
        self._shape = spec.files[0].inputs[0].shape[1:]
        if math.prod(self._shape) != math.prod(codec.shape):
            raise BundleError(f"{spec.name}: takes {list(self._shape)}, its cut's tables are for {list(codec.shape)}")

    def decode(self, payload: Payload) -> Inputs:
        """``features`` float32 ``[1, C, H, W]``, or ``[1, C]`` as the model takes it, decoded in place."""
        features = np.empty((1, *self._shape), np.float32)
        self._codec.decode(payload.data, out=features.reshape(self._codec.shape))
        return {"features": features}

    def logits(self, inputs: Sequence[Inputs]) -> NDArray[np.float32]:
        """Logits float32 ``[len(inputs), classes]``."""
        return _logits(self._model, inputs)


def open_predictor(bundle: Bundle, spec: ModelSpec, threads: int = 1) -> Predictor:
    """Load a server model; raises BundleError for a kind that cannot serve, and ModelError."""
    model = open_model(bundle, spec, threads=threads)
    if spec.kind == "vit-tokens":
        return VitPredictor(model, spec, bundle.frame)
    if spec.kind == "cnn-filled":
        return CnnPredictor(model, spec, bundle.frame)
    if spec.kind == "cnn-suffix":
        return SuffixPredictor(model, spec, _codec_before(bundle, spec))
    raise BundleError(f"{spec.name}: kind {spec.kind!r} cannot serve; vit-tokens, cnn-filled and cnn-suffix can")


def _codec_before(bundle: Bundle, spec: ModelSpec) -> FeatureCodec:
    for split in bundle.manifest.splits:
        if split.suffix == spec.name:
            return FeatureCodec.load(bundle.read(split.tables))
    raise BundleError(f"{spec.name}: no cut of this bundle names it as its suffix")


def _has_free_batch(model: Model, spec: ModelSpec) -> bool:
    """Whether the file that was opened (the first that the model's runtime takes) takes several inputs at a time."""
    file = next(file for file in spec.files if model.runtime in file.runtimes)
    return all(tensor.shape[0] == -1 for tensor in file.inputs)


def _logits(model: Model, inputs: Sequence[Inputs]) -> NDArray[np.float32]:
    first, *others = inputs
    joined = {name: np.concatenate([one[name] for one in inputs]) for name in first} if others else first
    logits: NDArray[np.float32] = model.run(joined)["logits"]
    return logits


class _Normaliser:
    """uint8 ``[k, p, p, 3]`` to float32 ``[k, 3, p, p]`` with a model's mean and standard deviation."""

    def __init__(self, spec: ModelSpec) -> None:
        self._mean = np.array(spec.mean, np.float32)
        self._std = np.array(spec.std, np.float32)

    def __call__(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        count, patch = patches.shape[:2]
        # Stacked on top of each other the patches are one picture for the kernel.
        planes = kernels.normalise(patches.reshape(count * patch, patch, 3), self._mean, self._std)
        return planes.reshape(3, count, patch, patch).transpose(1, 0, 2, 3)
