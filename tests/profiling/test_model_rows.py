"""Rows of models and stages."""

from __future__ import annotations

import pytest

from edge_runtime.models import Execution, installed_runtimes
from edge_runtime.profiling import model_rows
from edge_runtime.profiling.jobs import Findings, MeasuredStage
from edge_runtime.profiling.model_rows import MeasuredModel, MeasuredPipeline, model_row, pipeline_row
from edge_runtime.profiling.report import Ceilings, Peak
from edge_runtime.profiling.rounds import Sample

CEILINGS = Ceilings(1e9, (Peak("avx2", 1, 4e11, 8e11), Peak("avx2", 2, 8e11, 1.6e12)), ())


def stage(name: str, seconds: float, model: str | None = None) -> MeasuredStage:
    """Measured twenty times."""
    return MeasuredStage(name, model, 2 * seconds, [Sample(0.0, seconds, 1, seconds, 1e-9)] * 20)


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (6, [1, 2, 4, 6])])
def test_thread_counts(most, counts):
    """Powers of two, and the most."""
    assert model_rows.thread_counts(most) == counts


def test_every_file_in_every_runtime_that_it_claims(zoo):
    """And that is installed, on each number of threads."""
    rows = model_rows.model_rows(zoo, Execution(), [1, 2], "")

    claimed = sum(
        runtime in installed_runtimes()
        for spec in zoo.models("edge")
        for file in spec.files
        for runtime in file.runtimes
    )
    assert len(rows) == 2 * claimed
    assert len({row.key for row in rows}) == len(rows)
    assert all(row.macs > 0 for row in rows)


def test_options_narrow_the_rows_down(zoo):
    """By runtime, precision and pattern."""
    rows = model_rows.model_rows(zoo, Execution("onnxruntime", "int8"), [1], "")

    assert [row.key for row in rows] == ["edge-vit-int8.onnx [onnxruntime ×1]"]
    assert model_rows.model_rows(zoo, Execution(), [1], "*[[]nothing*") == []


def test_a_row_joins_its_passes(rows):
    """Samples of all, the quickest load, and the share of the peak of as many threads."""
    passes = [Findings([stage("net", s)], load, 1 << 20, 1 << 26) for s, load in ((1e-3, 0.2), (1.2e-3, 0.1))]

    found = model_row(MeasuredModel(rows.model(None, threads=2), passes), CEILINGS)

    assert found.timing.samples == 40
    assert (found.load, found.timing.first) == (0.1, 2e-3)
    assert found.peak_share == pytest.approx(2 * found.macs / found.timing.p50.value / 8e11)


def test_a_pass_that_failed_makes_a_row_with_the_reason(rows):
    """And no figures."""
    found = model_row(MeasuredModel(rows.model(None), [Findings(error="cannot load it")]), CEILINGS)

    assert (found.error, found.timing) == ("cannot load it", None)
    assert pipeline_row(MeasuredPipeline("split", [Findings(error="no cut")])).error == "no cut"


def test_stages_join_their_passes():
    """The frame takes as long as all of them."""
    passes = [Findings([stage("decode", 1e-3), stage("model", 3e-3, "net")], runtime="litert", precision="int8")] * 2

    found = pipeline_row(MeasuredPipeline("attention", passes))

    assert [(one.name, one.model, one.timing.samples) for one in found.stages] == [
        ("decode", None, 40),
        ("model", "net", 40),
    ]
    assert found.frame_s == pytest.approx(4e-3)
    assert (found.runtime, found.precision) == ("litert", "int8")
