"""Training the scheduler's policy: from tables to a file that decides on a device."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.models import Bundle
from edge_runtime.scheduling.learned import LearnedPolicy
from edge_runtime.scheduling.tables import save
from exporters.cli import main
from exporters.training import bps_policy
from exporters.training.bps_evaluation import HeldOut, share
from exporters.training.bps_policy import Schedule, train

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.scheduling.tables import Tables


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn from the first steps on, in small batches."""
    monkeypatch.setattr(bps_policy, "WARM_UP", 50)
    monkeypatch.setattr(bps_policy, "BATCH", 32)


def test_training_changes_the_policy_and_goes_on_where_it_stopped(tables: Tables, tmp_path: Path) -> None:
    """The curve has a line per evaluation; a second run with more steps does only the rest."""
    first = train(tables, 0.01, tmp_path, Schedule(steps=160, every=100, worlds=2))
    learnt = (tmp_path / "policy.onnx").read_bytes()
    second = train(tables, 0.01, tmp_path, Schedule(steps=200, every=100, worlds=2))
    curve = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curve] == [100, 160, 200]
    assert (curve[1], curve[2]) == (first, second)
    assert (tmp_path / "policy.onnx").read_bytes() != learnt
    assert not list(tmp_path.glob("*.new*"))


def test_the_command_trains_and_fills_a_bundle(
    tables: Tables, split_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a tables file to a bundle whose policy decides; the figures come as JSON."""
    save(tables, tmp_path / "tables.json")
    shutil.copytree(split_bundle.folder, tmp_path / "bundle")
    options = ["--tables", str(tmp_path / "tables.json"), "--out", str(tmp_path / "run")]
    options += ["--bundle", str(tmp_path / "bundle"), "--steps", "80", "--worlds", "1", "--json"]
    assert main(["train", "bps-policy", *options]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 80
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.manifest.policy is not None
    assert LearnedPolicy(bundle.read(bundle.manifest.policy), tables, 0.01).plans


def test_the_command_refuses_no_steps(tables: Tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line names the option."""
    save(tables, tmp_path / "tables.json")
    options = ["--tables", str(tmp_path / "tables.json"), "--out", str(tmp_path / "run"), "--steps", "0"]
    assert main(["train", "bps-policy", *options]) == 2
    assert "--steps: 0 is too few" in capsys.readouterr().err


def test_shares_come_with_an_interval_that_worlds_explain() -> None:
    """Equal rewards are a share of one without doubt; scattered ones have an interval around their ratio."""
    ones = np.ones(50)
    assert share(ones, ones) == [1.0, 1.0, 1.0]
    ratio, low, high = share(np.random.default_rng(0).uniform(0.5, 1.1, 50), ones)
    assert 0.7 < low < ratio < high < 0.9


def test_the_oracle_bounds_what_the_planner_earns(tables: Tables) -> None:
    """In held-out worlds the one that knows all earns more, and the planner is its own equal."""
    held_out = HeldOut(tables, 0.01, 6)
    assert held_out.oracle.mean() > held_out.planner.mean()
