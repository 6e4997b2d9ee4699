"""The stages of every system, on the committed zoo."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.codecs import patches, samples
from edge_runtime.models import Bundle, Execution
from edge_runtime.profiling.pipelines import open_pipeline, systems_of

ROOT = Path(__file__).parents[2] / "zoo"
SYSTEMS = {".": ["attention"], "lite0": ["local", "split"], "amot": ["amot"], "slimmable": ["local", "slimmable"]}


def run(bundle: Bundle, system: str):
    """What the last stage gives."""
    pipeline = open_pipeline(bundle, system, Execution())
    value = pipeline.photo
    for step in pipeline.stages:
        value = step.run(value)
    return value


@pytest.mark.parametrize("folder", SYSTEMS)
def test_systems_of_a_bundle(folder):
    """Those whose device half it has."""
    assert systems_of(Bundle.load(ROOT / folder)) == SYSTEMS[folder]


def test_attention_sends_patches_whatever_the_gate_would_say(zoo):
    """Every stage runs, on every frame."""
    indices, _ = patches.decode(run(zoo, "attention"), (14, 14), 16)

    assert len(indices) > 0


def test_amot_sends_a_first_round():
    """A quarter of the patches."""
    indices, _ = samples.decode(run(Bundle.load(ROOT / "amot"), "amot"), (14, 14), 16)

    assert len(indices) == 49


@pytest.mark.parametrize(("folder", "system"), [("lite0", "split"), ("slimmable", "slimmable")])
def test_features_and_latents_are_bytes(folder, system):
    """Their codecs' own tests say what is in them."""
    assert len(run(Bundle.load(ROOT / folder), system)) > 100


def test_local_answers():
    """With a probability for every class."""
    assert run(Bundle.load(ROOT / "lite0"), "local").sum() == pytest.approx(1)
