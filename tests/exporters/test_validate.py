"""A file that is wrong is found out, whatever it pretends."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edge_runtime.models import Bundle, Execution, open_model
from exporters.validate import check_runtime
from exporters.validate_samples import Sample, samples_of, synthetic_photos


@pytest.fixture
def samples() -> list[Sample]:
    """Two synthetic pictures as the edge model takes them."""
    return samples_of("vit-attention", synthetic_photos(32, 2), (127.0,) * 3, (128.0,) * 3, 16)


def test_difference_is_the_largest_anywhere(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    """One wrong number in one sample decides."""
    spec = tiny_bundle.model("edge")
    file = spec.files[0]
    model = open_model(tiny_bundle, spec, Execution("onnxruntime"))
    wanted = [model.run(sample) for sample in samples]
    wanted[1]["attention"][0, 1, 3] += 0.5
    check = check_runtime(tiny_bundle.read(file), file, "onnxruntime", samples, wanted)
    assert check.difference["attention"] == pytest.approx(0.5, abs=1e-3)
    assert check.difference["logits"] < 1e-6
    assert check.same_label == 1.0
    assert not check.passed


def test_nan_does_not_pass(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    """A comparison with NaN is no agreement."""
    spec = tiny_bundle.model("edge")
    model = open_model(tiny_bundle, spec, Execution("onnxruntime"))
    wanted = [model.run(sample) for sample in samples]
    samples[0]["image"][:] = np.nan
    check = check_runtime(tiny_bundle.read(spec.files[0]), spec.files[0], "onnxruntime", samples, wanted)
    assert not check.passed


def test_labels_must_stay_where_that_is_asked_for(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    """Logits within their limit do not pass when they name another class."""
    spec = tiny_bundle.model("edge")
    source, file = tiny_bundle.read(spec.files[0]), spec.files[0]
    model = open_model(tiny_bundle, spec, Execution("onnxruntime"))
    wanted = [model.run(sample) for sample in samples]
    top, rival = wanted[0]["logits"][0].argsort()[[-1, 0]]
    wanted[0]["logits"][0, rival] = wanted[0]["logits"][0, top] + 1e-6
    wanted[1]["logits"] *= 1e6  # so that the limit does not decide
    for share, passed in ((0.0, True), (0.5, False)):
        check = check_runtime(source, file, "onnxruntime", samples[:1], wanted[:1], share)
        assert check.same_label == 0.0
        limited = msgspec.structs.replace(check, limit=dict.fromkeys(check.limit, np.inf))
        assert limited.passed is passed


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert", "tflite-runtime"])
def test_unloadable_file_is_a_result(tiny_bundle: Bundle, samples: list[Sample], runtime: str) -> None:
    """A runtime's refusal is reported in its own words, not raised."""
    file = tiny_bundle.model("edge").files[0]
    wanted = [{"logits": np.ones((1, 3)), "attention": np.ones((1, 2, 5))}] * 2
    check = check_runtime(b"junk", msgspec.structs.replace(file, path="junk.onnx"), runtime, samples, wanted)
    assert "junk.onnx" in check.error
    assert not check.passed


def test_tokens_shrink_from_the_whole_picture() -> None:
    """Samples for a token model hold every patch first, then random subsets with their positions."""
    photos = synthetic_photos(32, 4)
    samples = samples_of("vit-tokens", photos, (0.0,) * 3, (1.0,) * 3, 16)
    assert [sample["positions"].shape for sample in samples] == [(1, 4), (1, 3), (1, 2), (1, 1)]
    position = int(samples[3]["positions"][0, 0])
    row, column = divmod(position, 2)
    patch = photos[3, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16].transpose(2, 0, 1)
    np.testing.assert_array_equal(samples[3]["patches"][0, 0], patch.reshape(-1))
