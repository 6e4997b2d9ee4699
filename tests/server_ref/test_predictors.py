"""Tests of server_ref.predictors, with real ONNX models that average what they see."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.errors import ModelError
from edge_runtime.models import Bundle, open_model
from server_ref.picture import Picture
from server_ref.predictors import CnnPredictor, VitPredictor

MEAN, STD = np.array([100, 110, 120]), np.array([50, 55, 60])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities, in double."""
    e = np.exp(logits - logits.max())
    return e / e.sum()


def picture(pixels: np.ndarray, chosen: list[int]) -> Picture:
    """Some patches of the frame."""
    indices = np.array(chosen, np.uint16)
    return Picture(indices, kernels.gather(pixels, indices, 16))


@pytest.mark.parametrize("chosen", [[0], [0, 15], list(range(16))])
def test_vit_sees_received_tokens_only(bundle_folder, pixels, chosen):
    """Tokens are channel-major and normalised; the model sees those received and no other."""
    bundle = Bundle.load(bundle_folder)
    spec = bundle.model("server", "tokens")
    seen = picture(pixels, chosen)

    expected = softmax(((seen.patches.mean(axis=(0, 1, 2)) - MEAN) / STD) + np.mean(chosen))

    assert VitPredictor(open_model(bundle, spec), spec).predict(seen) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("chosen", [[0], [0, 15], list(range(16))])
def test_cnn_gets_zero_where_nothing_was_received(bundle_folder, pixels, chosen):
    """Received patches are normalised in their places; the rest of the image is zero."""
    spec = Bundle.load(bundle_folder).model("server", "filled")
    seen = picture(pixels, chosen)
    model = Recorder()

    CnnPredictor(model, spec, 64).predict(seen)

    expected = np.zeros((64, 64, 3))
    for i, patch in zip(chosen, seen.patches, strict=True):
        y, x = divmod(i, 4)
        expected[y * 16 : y * 16 + 16, x * 16 : x * 16 + 16] = (patch - MEAN) / STD
    assert model.inputs["image"] == pytest.approx(expected.transpose(2, 0, 1)[np.newaxis], abs=1e-6)


class Recorder:
    """A model that remembers what it was given and answers with equal logits."""

    runtime = "none"

    def __init__(self, logit: float = 0) -> None:
        self.logits = np.full((1, 3), logit, np.float32)

    def run(self, inputs):
        """Keep the inputs."""
        self.inputs = inputs
        return {"logits": self.logits}


def test_token_layout_is_that_of_a_convolution_weight(bundle_folder):
    """The 768 values of a token are channel, then row, then column, as Conv2d's weight [d, 3, 16, 16] reshaped."""
    spec = Bundle.load(bundle_folder).model("server", "tokens")
    patches = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3), np.uint8)
    model = Recorder()

    VitPredictor(model, spec).predict(Picture(np.array([3, 7], np.uint16), patches))

    expected = ((patches - MEAN) / STD).transpose(0, 3, 1, 2).reshape(1, 2, 768)
    assert model.inputs["patches"] == pytest.approx(expected, abs=1e-6)
    assert model.inputs["positions"].dtype == np.int64
    assert np.array_equal([[3, 7]], model.inputs["positions"])


def test_output_that_is_no_number(bundle_folder, pixels):
    """NaN from the model is the model's fault, not the request's."""
    spec = Bundle.load(bundle_folder).model("server", "tokens")

    with pytest.raises(ModelError, match="the model's output is no answer: logits"):
        VitPredictor(Recorder(np.nan), spec).predict(picture(pixels, [0]))
