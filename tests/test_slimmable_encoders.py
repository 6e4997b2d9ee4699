"""The benchmark of encoders: what is timed is what it says; times are not tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slimmable_encoders as encoders

from edge_runtime.messages import Frame
from edge_runtime.models import Bundle, Execution, open_model

RIVALS = {"whole network", "ensemble 1", "ensemble 2", "ensemble 3", "ensemble 4"}


@pytest.fixture(scope="module")
def frame(latent_bundle: Bundle) -> Frame:
    """Noise."""
    side = latent_bundle.frame.size
    return Frame(0, np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))


@pytest.fixture(scope="module")
def zoo_cuts() -> Bundle:
    """EfficientNet-Lite0, whole and cut."""
    return Bundle.load(Path(__file__).parents[1] / "zoo" / "lite0")


def test_every_family_runs_beside_the_whole_network(
    latent_bundle: Bundle, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each runtime and precision that was asked for."""
    monkeypatch.setattr(encoders, "WHOLE", (("onnxruntime", "fp32"),))
    found = encoders.costs(latent_bundle, latent_bundle, frame, rounds=1)
    assert [(row["family"], row["runtime"], row["precision"]) for row in found] == [
        ("ensemble", "onnxruntime", "fp32"),
        ("widths", "onnxruntime", "fp32"),
    ]
    assert found[0]["times"].keys() == RIVALS
    assert found[0]["times"]["whole network"]["ratio"] == 1


@pytest.mark.long
def test_a_network_that_no_bundle_has_for_a_runtime_is_exported(zoo_cuts: Bundle) -> None:
    """As a TFLite file with as many classes."""
    exported = encoders._exported(zoo_cuts, "fp16")
    image = np.random.default_rng(0).normal(0, 1, (1, 3, 224, 224)).astype(np.float32)
    stored = open_model(zoo_cuts, zoo_cuts.model("server"), Execution("onnxruntime", "fp16"))
    assert exported.run({"image": image})["logits"].shape == stored.run({"image": image})["logits"].shape


def test_every_cut_runs_beside_the_whole_network(zoo_cuts: Bundle) -> None:
    """The device's half alone."""
    side = zoo_cuts.frame.size
    found = encoders.cut_costs(zoo_cuts, Frame(0, np.zeros((side, side, 3), np.uint8)), rounds=1)
    assert list(found) == ["whole network", *(f"cut {cut.cut}" for cut in zoo_cuts.manifest.splits)]
    assert found["whole network"]["ratio"] == 1


def test_changing_and_coding(latent_bundle: Bundle, frame: Frame) -> None:
    """The first of each race is what the others are compared with."""
    family = latent_bundle.latent()
    assert list(encoders.change(latent_bundle, family, frame, rounds=1)) == ["in a row", "in turns"]
    assert list(encoders.coding(latent_bundle, family, frame, rounds=1)) == ["encoders", "encode", "decode"]


def test_what_loads_for_a_change_is_slower_than_what_does_not(latent_bundle: Bundle, split_bundle: Bundle) -> None:
    """Widths and cuts, each loaded and run; the members of a sum are never loaded for a change."""
    side = split_bundle.frame.size
    cut_frame = Frame(0, np.zeros((side, side, 3), np.uint8))
    found = encoders.cold_changes(latent_bundle, split_bundle, cut_frame)
    assert list(found) == [
        *(f"widths {number}" for number in (1, 2, 3, 4)),
        *(f"cut {cut.cut}" for cut in split_bundle.manifest.splits),
    ]
    assert all(taken["cold_ms"] > taken["warm_ms"] > 0 for taken in found.values())


def test_memory_is_that_of_a_process_of_its_own(latent_bundle: Bundle, split_bundle: Bundle) -> None:
    """A family or all cuts, in MiB, however little that is."""
    found = encoders.memory(latent_bundle.folder, split_bundle.folder)
    assert list(found) == ["ensemble", "widths", "all cuts"]
    assert all(0 <= size < 500 for size in found.values())
