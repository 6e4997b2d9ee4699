"""One interface over three runtimes."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edge_runtime.errors import ModelError
from edge_runtime.models import Bundle, load_model, open_model

RUNTIMES = ["onnxruntime", "litert", "tflite-runtime"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_runtimes_agree(zoo: Bundle, runtime: str) -> None:
    """The same weights answer alike, under the bundle's names, wherever they run."""
    spec = zoo.model("edge")
    image = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    expected = open_model(zoo, spec, "onnxruntime", "fp16").run({"image": image})
    model = open_model(zoo, spec, runtime, "fp16")
    answer = model.run({"image": image})
    assert model.runtime == runtime
    assert answer.keys() == {"logits", "attention"}
    for name, values in expected.items():
        np.testing.assert_allclose(answer[name], values, atol=1e-3)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_answers_outlive_the_next_run(zoo: Bundle, runtime: str) -> None:
    """Outputs are copies, not windows into the interpreter's memory."""
    model = open_model(zoo, zoo.model("edge"), runtime)
    first = model.run({"image": np.zeros((1, 3, 224, 224), np.float32)})["logits"]
    before = first.copy()
    model.run({"image": np.ones((1, 3, 224, 224), np.float32)})
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_wrong_shape_is_named(zoo: Bundle, runtime: str) -> None:
    """The message holds the file."""
    spec = zoo.model("edge")
    with pytest.raises(ModelError, match=r"edge-vit-.*(cannot run|input image is)"):
        open_model(zoo, spec, runtime).run({"image": np.zeros((1, 3, 32, 32), np.float32)})


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_junk_is_a_model_error(zoo: Bundle, runtime: str) -> None:
    """Bytes that are no model are refused in one line."""
    file = msgspec.structs.replace(zoo.model("edge").files[0], path="junk")
    with pytest.raises(ModelError, match=f"junk: {runtime}.* cannot load it"):
        load_model(b"junk", file, runtime)


def test_unavailable_precision_lists_what_there_is(zoo: Bundle) -> None:
    """The message names model, runtimes and precisions."""
    with pytest.raises(ModelError, match=r"edge-vit: no file for runtime litert, precision fp32; it has fp16 for"):
        open_model(zoo, zoo.model("edge"), "litert", "fp32")
