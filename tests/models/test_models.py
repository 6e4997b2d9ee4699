"""One interface over three runtimes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_runtime.errors import BundleError, ModelError
from edge_runtime.models import Bundle, Execution, installed_runtimes, load_model, open_model
from edge_runtime.models.bundle import FrameSpec, Manifest, ModelFile, ModelSpec, StoredFile, Tensor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["onnxruntime", "litert", "tflite-runtime"])
def runtime(request: pytest.FixtureRequest) -> str:
    """Runs the test once per runtime that this machine has, by its name."""
    if request.param not in installed_runtimes():
        pytest.skip(f"this machine has no {request.param}")
    return str(request.param)


def test_runtimes_agree(zoo: Bundle, runtime: str) -> None:
    """The same weights answer alike, under the bundle's names, wherever they run."""
    spec = zoo.model("edge")
    image = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    expected = open_model(zoo, spec, Execution("onnxruntime", "fp16")).run({"image": image})
    model = open_model(zoo, spec, Execution(runtime, "fp16"))
    answer = model.run({"image": image})
    assert model.runtime == runtime
    assert answer.keys() == {"logits", "attention"}
    for name, values in expected.items():
        np.testing.assert_allclose(answer[name], values, atol=1e-3)


def test_answers_outlive_the_next_run(zoo: Bundle, runtime: str) -> None:
    """Outputs are copies, not windows into the interpreter's memory."""
    model = open_model(zoo, zoo.model("edge"), Execution(runtime))
    first = model.run({"image": np.zeros((1, 3, 224, 224), np.float32)})["logits"]
    before = first.copy()
    model.run({"image": np.ones((1, 3, 224, 224), np.float32)})
    np.testing.assert_array_equal(first, before)


def test_subnormal_numbers_stay_what_they_are(zoo: Bundle, runtime: str) -> None:
    """A runtime does not change the arithmetic of the thread that opens and runs it."""
    model = open_model(zoo, zoo.model("edge"), Execution(runtime))
    model.run({"image": np.zeros((1, 3, 224, 224), np.float32)})
    tiny = np.full(8, np.finfo(np.float64).tiny)
    assert (tiny / 2 > 0).all()


def test_wrong_shape_is_named(zoo: Bundle, runtime: str) -> None:
    """The message holds the file."""
    spec = zoo.model("edge")
    with pytest.raises(ModelError, match=r"edge-vit-.*(cannot run|input image is)"):
        open_model(zoo, spec, Execution(runtime)).run({"image": np.zeros((1, 3, 32, 32), np.float32)})


def test_junk_is_a_model_error(zoo: Bundle, runtime: str) -> None:
    """Bytes that are no model are refused in one line."""
    file = msgspec.structs.replace(zoo.model("edge").files[0], path="junk")
    with pytest.raises(ModelError, match=f"junk: {runtime}.* cannot load it"):
        load_model(b"junk", file, runtime)


def test_unavailable_precision_lists_what_there_is(zoo: Bundle) -> None:
    """The message names model, runtimes and precisions."""
    with pytest.raises(ModelError, match=r"edge-vit: no file for runtime litert, precision fp32; it has fp16 for"):
        open_model(zoo, zoo.model("edge"), Execution("litert", "fp32"))


def test_weights_beside_a_model_are_checked_and_loaded(tmp_path: Path) -> None:
    """An ONNX file with external data runs from its folder; changed weights are refused."""
    bundle = with_external_weights(tmp_path)
    spec = bundle.model("server")
    answer = open_model(bundle, spec).run({"image": np.ones((1, 4), np.float32)})
    np.testing.assert_array_equal(answer["logits"], [[0 + 3 + 6 + 9, 1 + 4 + 7 + 10, 2 + 5 + 8 + 11]])
    (tmp_path / "weights.bin").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"weights\.bin: its sha256"):
        open_model(bundle, spec)


def with_external_weights(folder: Path) -> Bundle:
    """A bundle whose only server model is image @ weights, the weights in a file of their own."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("MatMul", ["image", "weights"], ["logits"])]
    weights = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "weights")
    inputs, outputs = [value("image", TensorProto.FLOAT, ["b", 4])], [value("logits", TensorProto.FLOAT, ["b", 3])]
    graph = helper.make_graph(nodes, "net", inputs, outputs, [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    tensors = ((Tensor("image", "image", (-1, 4)),), (Tensor("logits", "logits", (-1, 3)),))
    file = ModelFile(
        "net.onnx",
        "onnx",
        "fp32",
        ("onnxruntime",),
        *_stamp(folder / "net.onnx"),
        *tensors,
        weights=StoredFile("weights.bin", *_stamp(folder / "weights.bin")),
    )
    spec = ModelSpec("net", "server", "cnn-filled", (0.0,) * 3, (1.0,) * 3, 12, 12, (file,))
    return Bundle(folder, Manifest(1, "tiny", "tests", "", "both", (), "", "net", FrameSpec(4, 4), (spec,)))


def _stamp(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
