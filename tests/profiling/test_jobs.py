"""Measuring a model in a process of its own."""

from __future__ import annotations

import subprocess

import msgspec
import numpy as np
import pytest

from edge_runtime.profiling import jobs
from edge_runtime.profiling.jobs import ModelJob, PipelineJob

SECONDS = 0.05


def model_job(bundle, **changes) -> ModelJob:
    """The whole network of the tiny bundle in onnxruntime."""
    (file,) = (file for file in bundle.model("edge", "net").files if "onnxruntime" in file.runtimes)
    return msgspec.structs.replace(ModelJob(str(bundle.folder), file.path, "onnxruntime", 1, "cpu", SECONDS), **changes)


def test_a_model_is_loaded_and_run(split_bundle):
    """Times, and what it added to the memory of a process that held nothing else."""
    found = jobs.run(model_job(split_bundle))

    assert found.error is None
    assert found.load > 0
    (stage,) = found.stages
    assert stage.samples
    assert all(sample.seconds > 0 for sample in stage.samples)
    assert found.peak_bytes is None or 0 < found.added_bytes < found.peak_bytes


def test_a_runtime_that_cannot_open_a_file_says_why(split_bundle):
    """The reason is a finding, not a crash."""
    found = jobs.run(model_job(split_bundle, runtime="litert"))

    assert found.error
    assert found.stages == []


def test_a_process_that_dies_says_how(split_bundle, monkeypatch):
    """A runtime may take its process with it."""
    dead = subprocess.CompletedProcess([], -11, b"", b"warm up\nIllegal instruction")
    monkeypatch.setattr(jobs.subprocess, "run", lambda *_, **__: dead)

    assert jobs.run(model_job(split_bundle)).error == "ended by signal 11: Illegal instruction"


def test_a_process_that_cannot_start_says_so(split_bundle, monkeypatch):
    """As where foreign programs cannot be started, in an emulator."""
    monkeypatch.setattr(jobs.sys, "executable", "/nowhere/python")

    assert jobs.run(model_job(split_bundle)).error.startswith("cannot start a process")


def test_a_pipeline_is_taken_stage_by_stage(split_bundle):
    """Every stage has as many samples as the others, one after the other."""
    found = jobs.run(PipelineJob(str(split_bundle.folder), "split", None, None, 1, "cpu", SECONDS))

    assert [stage.name for stage in found.stages] == ["JPEG decode", "resize", "normalise", "model", "feature encode"]
    assert len({len(stage.samples) for stage in found.stages}) == 1
    times = [sample.start for frame in zip(*(stage.samples for stage in found.stages), strict=True) for sample in frame]
    assert times == sorted(times)
    assert (found.runtime, found.precision) == ("onnxruntime", "fp32")


@pytest.mark.parametrize(("threads", "provider", "clock"), [(1, "cpu", "cpu"), (2, "cpu", "wall"), (1, "cuda", "wall")])
def test_one_thread_is_timed_by_the_processor(threads, provider, clock):
    """What other programs take does not count; a GPU's work is no processor time."""
    assert jobs.clock_of(threads, provider) == clock


def test_made_up_inputs_fit_every_edge_model_of_the_zoo(zoo):
    """One frame where any number may come."""
    for model in zoo.models("edge"):
        inputs = jobs.made_up_inputs(model.files[0])
        assert inputs["image"].shape == (1, 3, 224, 224)
        assert inputs["image"].dtype == np.float32
