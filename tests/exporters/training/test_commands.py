"""`edge-export train`, from arguments to a model on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from exporters.cli import main
from exporters.networks.catalogue import load_weights, own_network

if TYPE_CHECKING:
    from pathlib import Path

FACTORY = """
from torch import nn

def net():
    return nn.Sequential(nn.Conv2d(3, 3, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def test_own_network_learns_to_miss_patches(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user's own classifier goes in as MODULE:FACTORY and comes out as a state dict that fits it."""
    (tmp_path / "own_small_net.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    options = ["--photos", str(photo_folder), "--out", "out", "--size", "32", "--model", "own_small_net:net"]
    assert main(["train", "patch-tolerant", *options, "--epochs", "1", "--json"]) == 0
    model = json.loads(capsys.readouterr().out)["model"]
    load_weights(own_network("own_small_net:net"), tmp_path / model)


def test_server_vit_needs_a_teacher(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the option."""
    assert main(["train", "server-vit", "--photos", str(photo_folder), "--out", str(tmp_path)]) == 2
    assert "--teacher: server-vit needs DeiT-Tiny weights" in capsys.readouterr().err


def test_training_starts_from_weights_it_is_given(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result of one training is a start for the next; weights of another network are refused in one line."""
    (tmp_path / "own_start_net.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    options = ["--photos", str(photo_folder), "--size", "32", "--model", "own_start_net:net", "--epochs", "1"]
    assert main(["train", "patch-tolerant", *options, "--out", "first"]) == 0
    assert main(["train", "patch-tolerant", *options, "--out", "second", "--start", "first/model.pt"]) == 0
    assert main(["train", "edge-vit", "--photos", str(photo_folder), "--out", "x", "--start", "first/model.pt"]) == 2
    assert "not the weights of this HybridVit" in capsys.readouterr().err
