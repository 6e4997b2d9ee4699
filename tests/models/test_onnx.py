"""Which processor runs an ONNX model."""

import logging

import numpy as np
import onnxruntime
import pytest

from edge_runtime.errors import ModelError
from edge_runtime.models import Bundle, Execution, open_model


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_missing_provider_costs_a_line_of_log_and_no_answer(zoo: Bundle, provider, caplog):
    """The CPU runs the model as if nothing else had been asked for."""
    spec = zoo.model("edge")
    image = np.zeros((1, 3, zoo.frame.size, zoo.frame.size), np.float32)

    with caplog.at_level(logging.WARNING):
        model = open_model(zoo, spec, Execution("onnxruntime", provider=provider))

    (line,) = caplog.messages
    assert f"{provider}executionprovider is not in this build, CPUExecutionProvider runs it".lower() in line.lower()
    expected = open_model(zoo, spec, Execution("onnxruntime")).run({"image": image})
    np.testing.assert_array_equal(model.run({"image": image})["logits"], expected["logits"])


def test_each_provider_is_followed_by_those_that_run_what_it_cannot(zoo: Bundle, monkeypatch, caplog):
    """TensorRT first, then CUDA, then the CPU; an engine is kept in the user's cache, and a failed start is told."""
    asked = []
    session = onnxruntime.InferenceSession

    def start(source, options, providers):
        asked.extend(providers)
        return session(source, options, providers=["CPUExecutionProvider"])

    built_in = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built_in)
    monkeypatch.setattr(onnxruntime, "InferenceSession", start)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")

    open_model(zoo, zoo.model("edge"), Execution(provider="tensorrt"))

    kept = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": "/somewhere/edge-runtime/tensorrt"}
    assert asked == [("TensorrtExecutionProvider", kept), "CUDAExecutionProvider", "CPUExecutionProvider"]
    assert "TensorrtExecutionProvider cannot be started here, CPUExecutionProvider runs it" in caplog.text


def test_the_cpu_is_no_news(zoo: Bundle, caplog):
    """Nothing is logged where nothing was missing."""
    open_model(zoo, zoo.model("edge"), Execution("onnxruntime"))

    assert not caplog.messages


def test_other_runtimes_have_no_providers(zoo: Bundle):
    """Asking LiteRT for CUDA is an error that names the way out."""
    with pytest.raises(ModelError, match="provider cuda: litert runs on the CPU only; use the runtime onnxruntime"):
        open_model(zoo, zoo.model("edge"), Execution("litert", provider="cuda"))
