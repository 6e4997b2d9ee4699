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


class Session:
    """A model in onnxruntime, on one thread; raises ``ModelError`` with onnxruntime's complaint."""

    def __init__(self, model: onnx.ModelProto) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._outputs = [value.name for value in model.graph.output]
        try:
            self._session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions share no public base
            raise ModelError(f"onnxruntime {ort.__version__} cannot load it ({_first_line(error)})") from error

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once: arrays by the graph's own names."""
        try:
            return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))
        except Exception as error:
            raise ModelError(f"onnxruntime {ort.__version__} cannot run it ({_first_line(error)})") from error


def recomposed(graph: Graph, cut: Cut, images: NDArray[np.float32]) -> float:
    """Largest difference of the two halves of ``cut`` from the whole network, as a share of the largest logit.

    Of ``images [N, 3, S, S]`` each goes through the first half alone and, where the batch may vary, all go through the
    second together.
    """
    tensor = graph.value(cut.tensor, cut.shape)
    prefix, suffix = Session(graph.part(graph.image, tensor)), Session(graph.part(tensor, graph.logits))
    whole = Session(graph.model)
    batches = np.split(images, len(images) // (graph.batch or 1))
    features = [prefix({graph.image.name: batch})[cut.tensor] for batch in batches]
    if graph.batch is None:
        features, batches = [np.concatenate(features)], [images]
    answers = np.concatenate([suffix({cut.tensor: values})[graph.logits.name] for values in features])
    wanted = np.concatenate([whole({graph.image.name: batch})[graph.logits.name] for batch in batches])
    return float(np.abs(answers - wanted).max() / np.abs(wanted).max())


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
