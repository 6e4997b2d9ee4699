"""Batches that were fixed to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import helper

from exporters.split.batch import with_open_batch
from tests.exporters.split.conftest import residual_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporters.split.graph import Graph


def test_a_batch_of_one_is_opened_where_nothing_depends_on_it(read: Callable[..., Graph]) -> None:
    """A convolutional network rarely does; larger fixed batches stay."""
    assert read(residual_model(batch=1)).batch is None
    assert read(residual_model(batch=4)).batch == 4
    assert with_open_batch(residual_model()) is None


def test_a_batch_that_was_baked_in_stays(read: Callable[..., Graph]) -> None:
    """A reshape to one row of numbers would mix the photos."""
    model = residual_model(batch=1)
    model.graph.initializer.append(helper.make_tensor("row", 7, [2], [1, 4]))
    model.graph.node[9].CopyFrom(helper.make_node("Reshape", ["pooled", "row"], ["flat"]))
    assert read(model).batch == 1
