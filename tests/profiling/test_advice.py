"""One sentence on what dominates."""

from __future__ import annotations

import pytest

from edge_runtime.profiling.advice import advice

BACKEND = "native avx2"


def test_a_model_that_another_runtime_runs_quicker(rows):
    """Named with its share, and what the other would make of it."""
    found = advice((), (rows.model(3e-3), rows.model(5e-3, "onnxruntime")), (rows.pipeline(),), BACKEND)

    assert found == (
        "86% of a frame of attention (7.0 ms) is the model net in onnxruntime fp16 at 1 thread; "
        "litert int8 at 1 thread would take × 0.50 of it."
    )


def test_more_threads_are_a_proposal_too(rows):
    """As any other row of the same model."""
    found = advice((), (rows.model(2e-3, threads=4),), (rows.pipeline(),), BACKEND)

    assert found.endswith("litert int8 at 4 threads would take × 0.33 of it.")


@pytest.mark.parametrize("seconds", [5.9e-3, 8e-3, None])
def test_nothing_is_proposed_that_is_not_worth_it(rows, seconds):
    """Hardly quicker, slower, or not measured."""
    found = advice((), (rows.model(seconds),), (rows.pipeline(),), BACKEND)

    assert found.endswith("at 1 thread; nothing that was measured runs it quicker.")


def test_a_stage_without_a_model(rows):
    """What comes before the models dominates."""
    found = advice((), (), (rows.pipeline(model_s=1e-3, decode_s=9e-3),), BACKEND)

    assert found.startswith("90% of a frame of attention (10.0 ms) is JPEG decode")


def test_no_stage_dominates(rows):
    """Then the longest are named."""
    found = advice((), (), (rows.pipeline(model_s=1e-3, decode_s=1e-3),), BACKEND)

    assert found.startswith("50% of")

    stages = rows.pipeline(1e-3, 1e-3).stages
    three = type(rows.pipeline())("split", None, None, (*stages, stages[0]))
    assert advice((), (), (three,), BACKEND) == (
        "No stage dominates a frame of split (3.0 ms): JPEG decode 33%, model 33%, JPEG decode 33%."
    )


def test_kernels_alone(rows):
    """The slowest of the backend in use, and what bounds it."""
    kernels = (rows.kernel(), rows.kernel("rollout", seconds=1e-4), rows.kernel("rollout", "reference", seconds=1))

    assert advice(kernels, (), (), BACKEND) == (
        "The slowest kernel in native avx2 is rollout (100 µs), at 3% of the arithmetic peak: "
        "bound by neither limit, rather by what depends on what."
    )
    near = (rows.kernel(bandwidth_share=0.7, bound="memory"),)
    assert advice(near, (), (), BACKEND).endswith("at 70% of memory's bandwidth: near its limit.")


def test_models_alone(rows):
    """As when a pattern left the pipelines out."""
    found = advice((), (rows.model(3e-3, threads=2), rows.model(None)), (), BACKEND)

    assert found == "The quickest of the models is net: 3.0 ms in litert int8 at 2 threads."


def test_without_ceilings_nothing_is_claimed(rows):
    """As without the compiled kernels."""
    bare = rows.kernel(backend="reference", bandwidth_share=None, arithmetic_share=None, bound=None)

    assert advice((bare,), (), (), "reference").endswith("without ceilings nobody can say what bounds it.")


def test_nothing_at_all():
    """A pattern that fits no row."""
    assert advice((), (), (), BACKEND) == "Nothing was measured."
