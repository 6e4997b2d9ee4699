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
from server_ref.predictors import open_predictor

MEAN, STD = np.array([100, 110, 120]), np.array([50, 55, 60])


def payload(pixels: np.ndarray, chosen: list[int]) -> Payload:
    """Some patches of the frame."""
    indices = np.array(chosen, np.uint16)
    return Payload("patches", patches.encode(kernels.gather(pixels, indices, 16), indices, (4, 4), "raw"))


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
    return open_predictor(bundle, bundle.model("server", name))


@pytest.mark.parametrize("chosen", [[0], [0, 15], list(range(16))])
def test_vit_sees_received_tokens_only(bundle, pixels, chosen):
    """The model sees the tokens received and no other."""
    tokens = predictor(bundle, "tokens")

    expected = np.mean([normalised(pixels, i).mean((0, 1)) for i in chosen], axis=0) + np.mean(chosen)

    assert tokens.logits([tokens.decode(payload(pixels, chosen))])[0] == pytest.approx(expected, abs=1e-5)


def test_token_layout_is_that_of_a_convolution_weight(bundle, noise):
    """The 768 values of a token are channel, then row, then column, as Conv2d's weight [d, 3, 16, 16] reshaped."""
    inputs = predictor(bundle, "tokens").decode(payload(noise, [3, 7]))

    expected = np.stack([normalised(noise, i).transpose(2, 0, 1).ravel() for i in (3, 7)])[np.newaxis]

    assert inputs["patches"] == pytest.approx(expected, abs=1e-6)
    assert inputs["positions"].dtype == np.int64
    assert np.array_equal([[3, 7]], inputs["positions"])


@pytest.mark.parametrize("chosen", [[0], [0, 15], list(range(16))])
def test_cnn_gets_zero_where_nothing_was_received(bundle, noise, chosen):
    """Received patches are normalised in their places; the rest of the image is zero."""
    inputs = predictor(bundle, "filled").decode(payload(noise, chosen))

    expected = np.zeros((64, 64, 3))
    for i in chosen:
        y, x = divmod(i, 4)
        expected[y * 16 : y * 16 + 16, x * 16 : x * 16 + 16] = normalised(noise, i)

    assert inputs["image"] == pytest.approx(expected.transpose(2, 0, 1)[np.newaxis], abs=1e-6)


def test_several_images_in_one_run(bundle, pixels, noise):
    """A run of several gives each the logits it would have had alone, in order."""
    filled = predictor(bundle, "filled")
    inputs = [filled.decode(Payload("image", image.encode(frame, "png"))) for frame in (pixels, noise)]

    alone = [filled.logits([one])[0] for one in inputs]

    assert filled.batches
    assert filled.logits(inputs) == pytest.approx(np.stack(alone), abs=1e-6)


def test_tokens_are_run_one_by_one(bundle):
    """Requests of different lengths share no run."""
    assert not predictor(bundle, "tokens").batches


def test_edge_model_cannot_serve(bundle):
    """A model of another kind is refused by name."""
    with pytest.raises(BundleError, match="edge: kind 'vit-attention' cannot serve"):
        open_predictor(bundle, bundle.model("edge", "edge"))


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

    def decode(self, payload):  # noqa: ARG002 - of `Predictor`
        """Nothing."""
        return {}

    def logits(self, inputs):
        """NaN."""
        return np.full((len(inputs), 3), np.nan, np.float32)
