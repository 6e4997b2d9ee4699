"""Running ONNX models that never become files, and proving that two halves are the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from edge_runtime.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

    from exporters.split.cuts import Cut
    from exporters.split.graph import Graph


def run(model: onnx.ModelProto, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Run a model once in onnxruntime; raises ``ModelError`` with onnxruntime's complaint."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    names = [value.name for value in model.graph.output]
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise ModelError(f"onnxruntime {ort.__version__} cannot run it ({str(error).splitlines()[0]})") from error


def recomposed(graph: Graph, cut: Cut, images: NDArray[np.float32]) -> float:
    """Largest difference of the two halves of ``cut`` from the whole network, as a share of the largest logit.

    Of ``images [N, 3, S, S]`` each goes through the first half alone and, where the batch may vary, all go through the
    second together.
    """
    tensor = graph.value(cut.tensor, cut.shape)
    prefix, suffix = graph.part(graph.image, tensor), graph.part(tensor, graph.logits)
    batches = np.split(images, len(images) // (graph.batch or 1))
    features = [run(prefix, {graph.image.name: batch})[cut.tensor] for batch in batches]
    if graph.batch is None:
        features, batches = [np.concatenate(features)], [images]
    worst = 0.0
    for values, batch in zip(features, batches, strict=True):
        whole = run(graph.model, {graph.image.name: batch})[graph.logits.name]
        answer = run(suffix, {cut.tensor: values})[graph.logits.name]
        worst = max(worst, float(np.abs(answer - whole).max() / np.abs(whole).max()))
    return worst
