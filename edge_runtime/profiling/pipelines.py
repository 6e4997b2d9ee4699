"""What the device does with a photo in each system that a bundle serves, as stages that can be timed one by one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from PIL import Image

from edge_runtime import kernels
from edge_runtime.codecs import patches, samples
from edge_runtime.codecs.features import FeatureCodec
from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.errors import BundleError
from edge_runtime.kernels import Geometry
from edge_runtime.messages import Frame
from edge_runtime.models import Execution, open_model
from edge_runtime.profiling import synthetic
from edge_runtime.systems.edge import Seen
from edge_runtime.systems.encoders import Encoders
from edge_runtime.systems.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from edge_runtime.kernels import Decision
    from edge_runtime.models import Bundle, Model
    from edge_runtime.models.bundle import GateSpec, ModelSpec

FEATURE_QUALITY = 50
SAMPLE_QUALITY = 50
# As many as A-MOT's plans sample first, usually.
FIRST_SHARE = 0.25


class Step(NamedTuple):
    """Turns what the stage before it gave into what the next one takes; ``model`` is the model it runs, if any."""

    name: str
    run: Callable[[Any], Any]
    model: str | None = None


class Pipeline(NamedTuple):
    """The stages of one system, the photo that goes in, and what runs the models."""

    stages: list[Step]
    photo: bytes
    runtime: str | None = None
    precision: str | None = None


def systems_of(bundle: Bundle) -> list[str]:
    """Systems whose device half the bundle has."""
    manifest = bundle.manifest
    kinds = {model.kind for model in bundle.models("edge")}
    return [
        name
        for name, there in {
            "attention": "vit-attention" in kinds and bundle.gate is not None,
            "local": "cnn-whole" in kinds,
            "split": bool(manifest.splits) and "cnn-prefix" in kinds,
            "slimmable": bool(manifest.latents) and "latent-encoder" in kinds,
            "amot": manifest.rounds is not None,
        }.items()
        if there
    ]


def open_pipeline(bundle: Bundle, system: str, execution: Execution) -> Pipeline:
    """Load what the system needs; raises BundleError and ModelError."""
    makers = {"attention": _attention, "local": _local, "split": _split, "slimmable": _slimmable, "amot": _amot}
    return makers[system](bundle, execution)


def _frame_steps(bundle: Bundle) -> list[Step]:
    """From a file to the frame that every system starts with."""
    spec = bundle.frame
    geometry = Geometry(size=spec.size, resize=spec.resize, interpolation=spec.interpolation)
    return [Step("JPEG decode", _decode), Step("resize", lambda pixels: kernels.frame(pixels, geometry))]


def _decode(photo: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(photo)) as image:
        return np.ascontiguousarray(image.convert("RGB"))


def _model_steps(spec: ModelSpec, model: Model) -> list[Step]:
    """From the frame to the model's outputs, the frame beside them."""
    mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)

    def normalise(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return pixels, kernels.normalise(pixels, mean, std)[None]

    def run(given: tuple[NDArray[np.uint8], NDArray[np.float32]]) -> tuple[NDArray[np.uint8], Mapping[str, Any]]:
        return given[0], model.run({"image": given[1]})

    return [Step("normalise", normalise), Step("model", run, spec.name)]


def _attention(bundle: Bundle, execution: Execution) -> Pipeline:
    spec = next(model for model in bundle.models("edge") if model.kind == "vit-attention")
    model = open_model(bundle, spec, execution)
    gate = bundle.gate
    if gate is None:
        raise BundleError(f"{bundle.folder}: has no gate; give it one with `edge-export bundle`")
    selection, side = Selection(_unsure(gate), bundle.frame), bundle.frame.grid

    def select(given: tuple[NDArray[np.uint8], Mapping[str, Any]]) -> Decision:
        pixels, outputs = given
        return selection(Seen(outputs["logits"][0], outputs["attention"][0]), pixels)

    def encode(decision: Decision) -> bytes:
        return patches.encode(decision.patches, decision.indices, (side, side), gate.patch_codec, gate.quality)

    steps = [*_frame_steps(bundle), *_model_steps(spec, model), Step("gate", select), Step("patch encode", encode)]
    return _pipeline(steps, model)


def _unsure(gate: GateSpec) -> GateSpec:
    """The same gate, except that no frame is answered here: every stage runs."""
    return msgspec.structs.replace(gate, eta=np.inf if gate.uncertainty == "margin" else -1.0)


def _local(bundle: Bundle, execution: Execution) -> Pipeline:
    spec = next(model for model in bundle.models("edge") if model.kind == "cnn-whole")
    model = open_model(bundle, spec, execution)
    answer = Step("softmax", lambda given: kernels.softmax(given[1]["logits"][0]))
    return _pipeline([*_frame_steps(bundle), *_model_steps(spec, model), answer], model)


def _split(bundle: Bundle, execution: Execution) -> Pipeline:
    cut = bundle.split()
    spec = bundle.model("edge", cut.prefix)
    model, codec = open_model(bundle, spec, execution), FeatureCodec.load(bundle.read(cut.tables))

    def encode(given: tuple[NDArray[np.uint8], Mapping[str, Any]]) -> bytes:
        return codec.encode(given[1]["features"].reshape(codec.shape), FEATURE_QUALITY)

    steps = [*_frame_steps(bundle), *_model_steps(spec, model), Step("feature encode", encode)]
    return _pipeline(steps, model)


def _slimmable(bundle: Bundle, execution: Execution) -> Pipeline:
    family = bundle.latent()
    encoders, codec = Encoders(bundle, family, execution), LatentCodec.load(bundle.read(family.tables))
    count, levels = len(encoders), codec.levels[len(codec.levels) // 2]
    steps = [
        Step("encoders", lambda pixels: encoders.latent(Frame(0, pixels), count), family.name),
        Step("latent encode", lambda latent: codec.encode(latent, count, levels)),
    ]
    return Pipeline([*_frame_steps(bundle), *steps], synthetic.jpeg_photo())


def _amot(bundle: Bundle, execution: Execution) -> Pipeline:  # noqa: ARG001 - the device runs no model
    spec, rounds = bundle.frame, bundle.manifest.rounds
    if rounds is None:
        raise BundleError(f"{bundle.folder}: has no rounds; calibrate them with `edge-export calibrate`")
    grid, pattern = (spec.grid, spec.grid), rounds.pattern
    first = int(FIRST_SHARE * spec.grid**2)

    def gather(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return kernels.gather(pixels, kernels.sample(pattern, grid, first, 0), spec.patch)

    def encode(chosen: NDArray[np.uint8]) -> bytes:
        return samples.encode(chosen, grid, pattern, 0, "webp", SAMPLE_QUALITY)

    return Pipeline(
        [*_frame_steps(bundle), Step("sample", gather), Step("patch encode", encode)], synthetic.jpeg_photo()
    )


def _pipeline(steps: list[Step], model: Model) -> Pipeline:
    return Pipeline(steps, synthetic.jpeg_photo(), model.runtime, model.file.precision)
