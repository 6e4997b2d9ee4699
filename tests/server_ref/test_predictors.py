"""Tests of server_ref.predictors, with real ONNX models that average what they see."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.codecs import image, patches
from edge_runtime.errors import BundleError, ModelError
from edge_runtime.messages import Payload, Request
from edge_runtime.models import Bundle
from server_ref.backend import Backend
from server_ref.predictor import Outcome
from server_ref.predictors import open_predictor
from server_ref.sessions import Sessions

MEAN, STD = np.array([100, 110, 120]), np.array([50, 55, 60])


FAR = float("inf")


def some(pixels: np.ndarray, chosen: list[int]) -> Request:
    """Some patches of the frame."""
    indices = np.array(chosen, np.uint16)
    data = patches.encode(kernels.gather(pixels, indices, 16), indices, (4, 4), "raw")
    return Request("attention", 1, (Payload("patches", data),))


def normalised(pixels: np.ndarray, i: int) -> np.ndarray:
    """Patch i of the frame, [16, 16, 3]."""
    y, x = divmod(i, 4)
    return (pixels[y * 16 : y * 16 + 16, x * 16 : x * 16 + 16] - MEAN) / STD


@pytest.fixture
def noise() -> np.ndarray:
    """A frame in which every pixel differs."""
    return np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def bundle(bundle_folder) -> Bundle:
    """The tiny bundle."""
    return Bundle.load(bundle_folder)


def predictor(bundle: Bundle, name: str):
    """A predictor of the tiny bundle."""
    return open_predictor(bundle, bundle.model("server", name), Sessions())


@pytest.mark.parametrize("chosen", [[0], [0, 15], list(range(16))])
def test_vit_sees_received_tokens_only(bundle, pixels, chosen):
    """The model sees the tokens received and no other."""
    tokens = predictor(bundle, "tokens")

    expected = np.mean([normalised(pixels, i).mean((0, 1)) for i in chosen], axis=0) + np.mean(chosen)

    (outcome,) = tokens.run(tokens.decode(some(pixels, chosen), FAR))

    assert outcome.logits == pytest.approx(expected, abs=1e-5)
    assert outcome.ask is None


def test_token_layout_is_that_of_a_convolution_weight(bundle, noise):
    """The 768 values of a token are channel, then row, then column, as Conv2d's weight [d, 3, 16, 16] reshaped."""
    (inputs,) = predictor(bundle, "tokens").decode(some(noise, [3, 7]), FAR)

    expected = np.stack([normalised(noise, i).transpose(2, 0, 1).ravel() for i in (3, 7)])[np.newaxis]

    assert inputs["patches"] == pytest.approx(expected, abs=1e-6)
    assert inputs["positions"].dtype == np.int64
    assert np.array_equal([[3, 7]], inputs["positions"])


@pytest.mark.parametrize("chosen", [[0], [0, 15], list(range(16))])
def test_cnn_gets_zero_where_nothing_was_received(bundle, noise, chosen):
    """Received patches are normalised in their places; the rest of the image is zero."""
    (inputs,) = predictor(bundle, "filled").decode(some(noise, chosen), FAR)

    expected = np.zeros((64, 64, 3))
    for i in chosen:
        y, x = divmod(i, 4)
        expected[y * 16 : y * 16 + 16, x * 16 : x * 16 + 16] = normalised(noise, i)

    assert inputs["image"] == pytest.approx(expected.transpose(2, 0, 1)[np.newaxis], abs=1e-6)


def test_several_images_in_one_run(bundle, pixels, noise):
    """A run of several gives each the logits it would have had alone, in order."""
    filled = predictor(bundle, "filled")
    payloads = tuple(Payload("image", image.encode(frame, "png")) for frame in (pixels, noise))
    inputs = filled.decode(Request("remote", 1, payloads), FAR)

    alone = [filled.run([one])[0].logits for one in inputs]

    assert filled.batches
    assert [one.logits for one in filled.run(inputs)] == [pytest.approx(logits, abs=1e-6) for logits in alone]


def test_tokens_are_run_one_by_one(bundle):
    """Requests of different lengths share no run."""
    assert not predictor(bundle, "tokens").batches


def test_edge_model_cannot_serve(bundle):
    """A model of another kind is refused by name."""
    with pytest.raises(BundleError, match="edge: kind 'vit-attention' cannot serve"):
        open_predictor(bundle, bundle.model("edge", "edge"), Sessions())


def test_output_that_is_no_number(pixels):
    """NaN from the model is the model's fault, not the request's."""
    backend = Backend({"broken": Broken()}, default_model="broken", bundle_hash="", classes=("a", "b", "c"))

    with pytest.raises(ModelError, match="the model's output is no answer: logits"):
        backend.answer(Request("remote", 1, (Payload("image", image.encode(pixels, "png")),)))


class Broken:
    """A predictor whose model computes NaN."""

    kinds = ("image",)
    max_bytes = 1
    batches = False

    def decode(self, request, deadline_s):  # noqa: ARG002 - of `Predictor`
        """Nothing."""
        return [None for _ in request.payloads]

    def run(self, inputs):
        """NaN."""
        return [Outcome(np.full(3, np.nan, np.float32)) for _ in inputs]
