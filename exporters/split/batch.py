"""Opening a batch that an exporter fixed to one, where nothing in the graph depends on it."""

from __future__ import annotations

import numpy as np
import onnx

from edge_runtime.errors import ModelError
from exporters.split.session import Session


def with_open_batch(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model for any batch, if it then gives two images at once what it gives each; else None.

    None also if the batch was not fixed to one.
    """
    (image,), (logits,) = model.graph.input, model.graph.output
    sides = [side.dim_value for side in image.type.tensor_type.shape.dim]
    if sides[0] != 1:
        return None
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.value_info[:]  # may note the fixed batch
    for value in (opened.graph.input[0], opened.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    images = np.random.default_rng(0).normal(size=(2, *sides[1:])).astype(np.float32)
    try:
        both = Session(opened)({image.name: images})[logits.name]
    except ModelError:
        return None
    single = Session(model)
    each = np.concatenate([single({image.name: one[None]})[logits.name] for one in images])
    alike = both.shape == each.shape and np.abs(both - each).max() <= 1e-4 * np.abs(each).max()
    return opened if alike else None
