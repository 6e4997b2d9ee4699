"""The device's own models on one frame and on several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_runtime.errors import ArgumentError, BundleError
from edge_runtime.evaluation.demo import photo_paths
from edge_runtime.messages import Frame
from edge_runtime.models import Bundle, Execution
from edge_runtime.photos import open_frame
from edge_runtime.systems.driver import drive
from edge_runtime.systems.edge import EdgeModel, PrefixModel, WholeModel
from edge_runtime.systems.remote import Remote
from server_ref.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORKS = Path(__file__).parents[2] / "zoo"


def noise(count: int, size: int) -> list[Frame]:
    """Frames that differ in colour."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (count, size, size, 3)) * rng.random((count, 1, 1, 3))
    return [Frame(i, one.astype(np.uint8)) for i, one in enumerate(pixels)]


def runs_of(model: Any, frames: Sequence[Frame], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames each run of the runtime had while ``model`` answered."""
    sizes: list[int] = []
    run = model._model.run

    def counted(inputs: Any) -> Any:
        sizes.append(len(inputs["image"]))
        return run(inputs)

    monkeypatch.setattr(model._model, "run", counted)
    model.logits(frames)
    return sizes


@pytest.fixture(scope="module")
def lite0() -> Bundle:
    """The zoo's cut EfficientNet-Lite0."""
    return Bundle.load(NETWORKS / "lite0")


@pytest.mark.parametrize(("runtime", "runs"), [("onnxruntime", [3]), ("litert", [1, 1, 1])])
def test_frames_are_one_run_where_the_file_takes_them(
    lite0: Bundle, monkeypatch: pytest.MonkeyPatch, runtime: Any, runs: list[int]
) -> None:
    """ONNX takes any number, TFLite one after another; either way each frame has the logits that it has alone."""
    model = WholeModel(lite0, "lite0", Execution(runtime, "int8"))
    frames = noise(3, 224)
    together, alone = model.logits(frames), [model.logits([frame])[0] for frame in frames]
    assert (together.shape, together.dtype, model.precision) == ((3, 10), np.float32, "int8")
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert runs_of(model, frames, monkeypatch) == runs


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.server
def test_the_whole_network_answers_like_the_servers(lite0: Bundle, precision: Any) -> None:
    """Within what its precision costs, on the zoo's demo photos."""
    frames = [Frame(i, open_frame(path, lite0.frame)) for i, path in enumerate(photo_paths([])[:3])]
    backend = Backend.open(lite0)
    wanted = drive(Remote("png").infer_batch(frames), lambda request, _: backend.answer(request))
    logits = WholeModel(lite0, "lite0", Execution(precision=precision)).logits(frames)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    allowed = {"fp16": 1e-4, "int8": 0.25}[precision]
    assert np.abs(probabilities - [answer.probabilities for answer in wanted]).max() < allowed


@pytest.mark.parametrize(("cut", "side"), [("early", 16), ("late", 8)])
def test_a_prefix_maps_every_frame(split_bundle: Bundle, cut: str, side: int) -> None:
    """Its features are those that each frame has alone."""
    prefix, frames = PrefixModel(split_bundle, f"net.{cut}"), noise(4, 64)
    maps = prefix.features(frames)
    assert (maps.shape, maps.dtype) == ((4, 3, side, side), np.float32)
    for features, frame in zip(maps, frames, strict=True):
        np.testing.assert_allclose(features, prefix.features([frame])[0], atol=1e-6)


def test_the_light_transformer_sees_and_answers_alike(zoo: Bundle) -> None:
    """Its logits of a batch are those that it sees frame by frame."""
    model, frames = EdgeModel(zoo), noise(2, 224)
    np.testing.assert_allclose(model.logits(frames), [model.see(frame).logits for frame in frames], atol=1e-4)


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_answers_outlive_later_batches(lite0: Bundle, runtime: Any) -> None:
    """Neither the model's memory nor the reused input shows through an array that was returned."""
    model, frames = WholeModel(lite0, "lite0", Execution(runtime, "int8")), noise(4, 224)
    first = model.logits(frames[:2])
    before = first.copy()
    model.logits(frames[2:])
    np.testing.assert_array_equal(first, before)


def test_the_input_grows_to_the_largest_batch_and_stays(split_bundle: Bundle) -> None:
    """A smaller batch after a larger one reuses its memory, and gets its own answer from it."""
    model, frames = WholeModel(split_bundle, "net"), noise(5, 64)
    model.logits(frames[:2])
    assert len(model._images) == 2
    model.logits(frames)
    largest = model._images
    again = model.logits(frames[3:4])
    assert model._images is largest
    assert len(largest) == 5
    np.testing.assert_allclose(again, model.logits(frames)[3:4], atol=1e-6)


@pytest.mark.parametrize(
    ("wanted", "name", "message"),
    [
        (WholeModel, "net.early", r"net\.early is cnn-prefix, not cnn-whole; of these it has net$"),
        (PrefixModel, "net", r"net is cnn-whole, not cnn-prefix; of these it has net\.early, net\.late$"),
        (EdgeModel, "", r"net\.early is cnn-prefix, not vit-attention; of these it has none$"),
    ],
)
def test_a_model_of_another_kind_is_named(split_bundle: Bundle, wanted: Any, name: str, message: str) -> None:
    """In one line with those of the kind that there are."""
    with pytest.raises(BundleError, match=message):
        wanted(split_bundle, name)


def test_no_frames_are_an_error(split_bundle: Bundle) -> None:
    """Rather than an empty run."""
    with pytest.raises(ArgumentError, match="frames: none given, give one or more"):
        PrefixModel(split_bundle).features([])
