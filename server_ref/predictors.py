"""One predictor per kind of server model, which says what payloads it takes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edge_runtime.codecs.features import FeatureCodec
from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.errors import BundleError
from edge_runtime.models import open_model
from edge_runtime.models.execution import DEFAULT_EXECUTION, Execution
from server_ref.handlers import HANDLERS
from server_ref.normaliser import Normaliser
from server_ref.picture import paste
from server_ref.predictor import Outcome
from server_ref.rounds import RoundsPredictor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_runtime.messages import Payload, PayloadKind, Request
    from edge_runtime.models import Bundle, Model, ModelSpec
    from edge_runtime.models.bundle import FrameSpec, Kind
    from server_ref.picture import Picture
    from server_ref.predictor import Predictor
    from server_ref.sessions import Sessions

    Inputs = dict[str, NDArray[Any]]


SERVED: tuple[Kind, ...] = ("vit-tokens", "vit-states", "cnn-filled", "cnn-suffix", "latent-decoder")


class MapCodec(Protocol):
    """What decodes maps float32 ``[C, H, W]`` of one ``shape``."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of every map."""

    def decode(self, data: bytes, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """A payload's map, in ``out`` if given; raises PayloadError."""


class _PicturePredictor(ABC):
    """What the predictors that look at pictures share."""

    kinds: tuple[PayloadKind, ...] = ("image", "patches")

    def __init__(self, model: Model, spec: ModelSpec, frame: FrameSpec) -> None:
        self.batches = _has_free_batch(model, spec)
        self.max_bytes = 3 * frame.size**2
        self._model = model
        self._frame = frame
        self._normalise = Normaliser(spec)

    def decode(self, request: Request, deadline_s: float) -> list[Inputs]:  # noqa: ARG002 - of `Predictor`
        """What each of the payloads shows, as the model takes it."""
        size, patch = self._frame.size, self._frame.patch
        return [self._inputs(HANDLERS[payload.kind](payload.data, size, patch)) for payload in request.payloads]

    def run(self, inputs: Sequence[Inputs]) -> list[Outcome]:
        """Compute the inputs together."""
        return _run(self._model, inputs)

    @abstractmethod
    def _inputs(self, picture: Picture) -> Inputs:
        """With a leading dimension of 1."""


class VitPredictor(_PicturePredictor):
    """A vision transformer that looks at the received tokens only (kind ``vit-tokens``).

    Frames differ in their number of tokens, so they are run one by one.
    """

    def __init__(self, model: Model, spec: ModelSpec, frame: FrameSpec) -> None:
        super().__init__(model, spec, frame)
        self.batches = False

    def _inputs(self, picture: Picture) -> Inputs:
        """``patches`` float32 ``[1, N, 3 · patch²]`` and ``positions`` int64 ``[1, N]``."""
        tokens = self._normalise(picture.patches)
        return {
            "patches": np.ascontiguousarray(tokens).reshape(1, len(tokens), -1),
            "positions": picture.indices.astype(np.int64)[np.newaxis],
        }


class CnnPredictor(_PicturePredictor):
    """A network on whole images that was trained with missing patches (kind ``cnn-filled``).

    What is missing is filled with the model's mean, which is zero once normalised.
    """

    def _inputs(self, picture: Picture) -> Inputs:
        """``image`` float32 ``[1, 3, size, size]``."""
        image = np.zeros((1, 3, self._frame.size, self._frame.size), np.float32)
        paste(self._normalise(picture.patches), picture.indices, image)
        return {"image": image}


class _MapPredictor:
    """What the predictors that go on from a map share: a codec makes it, in the model's own input."""

    kinds: tuple[PayloadKind, ...]
    # The model's input.
    name: str

    def __init__(self, model: Model, spec: ModelSpec, codec: MapCodec, max_bytes: int) -> None:
        self.batches = _has_free_batch(model, spec)
        self.max_bytes = max_bytes
        self._model = model
        self._codec = codec
        self._shape = spec.files[0].inputs[0].shape[1:]
        if math.prod(self._shape) != math.prod(codec.shape):
            raise BundleError(f"{spec.name}: takes {list(self._shape)}, its tables are for {list(codec.shape)}")

    def decode(self, request: Request, deadline_s: float) -> list[Inputs]:  # noqa: ARG002 - of `Predictor`
        """The maps, as the model takes them."""
        return [self._inputs(payload) for payload in request.payloads]

    def run(self, inputs: Sequence[Inputs]) -> list[Outcome]:
        """Compute the inputs together."""
        return _run(self._model, inputs)

    def _inputs(self, payload: Payload) -> Inputs:
        """Float32 ``[1, C, H, W]``, or ``[1, C]`` as the model takes it, decoded in place."""
        decoded = np.empty((1, *self._shape), np.float32)
        self._codec.decode(payload.data, out=decoded.reshape(self._codec.shape))
        return {self.name: decoded}


class SuffixPredictor(_MapPredictor):
    """The rest of a network, from one cut on (kind ``cnn-suffix``). ``codec`` holds the cut's tables."""

    kinds: tuple[PayloadKind, ...] = ("features",)
    name = "features"

    def __init__(self, model: Model, spec: ModelSpec, codec: FeatureCodec) -> None:
        # As float16, the largest that a device has a reason to send.
        super().__init__(model, spec, codec, 2 * math.prod(codec.shape))


class LatentPredictor(_MapPredictor):
    """What is behind one family of encoders (kind ``latent-decoder``). ``codec`` holds the family's tables."""

    kinds: tuple[PayloadKind, ...] = ("latent",)
    name = "latent"

    def __init__(self, model: Model, spec: ModelSpec, codec: LatentCodec) -> None:
        super().__init__(model, spec, codec, codec.packed_bytes(codec.levels[-1]))


def open_predictor(
    bundle: Bundle, spec: ModelSpec, sessions: Sessions, execution: Execution = DEFAULT_EXECUTION
) -> Predictor:
    """Load a server model; raises BundleError for a kind that cannot serve, and ModelError.

    ``sessions`` are for a model that asks again.
    """
    if spec.kind == "vit-states":
        return RoundsPredictor(bundle, spec, sessions, execution)
    model = open_model(bundle, spec, execution)
    if spec.kind == "vit-tokens":
        return VitPredictor(model, spec, bundle.frame)
    if spec.kind == "cnn-filled":
        return CnnPredictor(model, spec, bundle.frame)
    if spec.kind == "cnn-suffix":
        return SuffixPredictor(model, spec, _codec_before(bundle, spec))
    if spec.kind == "latent-decoder":
        return LatentPredictor(model, spec, _latent_codec(bundle, spec))
    raise BundleError(f"{spec.name}: kind {spec.kind!r} cannot serve; {', '.join(SERVED)} can")


def _codec_before(bundle: Bundle, spec: ModelSpec) -> FeatureCodec:
    for split in bundle.manifest.splits:
        if split.suffix == spec.name:
            return FeatureCodec.load(bundle.read(split.tables))
    raise BundleError(f"{spec.name}: no cut of this bundle names it as its suffix")


def _latent_codec(bundle: Bundle, spec: ModelSpec) -> LatentCodec:
    for latent in bundle.manifest.latents:
        if latent.decoder == spec.name:
            return LatentCodec.load(bundle.read(latent.tables))
    raise BundleError(f"{spec.name}: no family of encoders of this bundle names it as its decoder")


def _has_free_batch(model: Model, spec: ModelSpec) -> bool:
    """Whether the file that was opened (the first that the model's runtime takes) takes several inputs at a time."""
    file = next(file for file in spec.files if model.runtime in file.runtimes)
    return all(tensor.shape[0] == -1 for tensor in file.inputs)


def _run(model: Model, inputs: Sequence[Inputs]) -> list[Outcome]:
    first, *others = inputs
    joined = {name: np.concatenate([one[name] for one in inputs]) for name in first} if others else first
    return [Outcome(logits) for logits in model.run(joined)["logits"]]
