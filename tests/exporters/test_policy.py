"""A policy's file: what it computes, what it says of itself, and its place in a bundle."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest
import torch
from torch import nn

from edge_runtime.control.link_estimate import LinkView
from edge_runtime.errors import BundleError, ModelError
from edge_runtime.models import Bundle
from edge_runtime.scheduling.features import FEATURES
from edge_runtime.scheduling.learned import LearnedPolicy
from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.state import State
from exporters import policy as policy_files
from exporters.bundle_folder import split_bundle as halve
from exporters.policy import install_policy, write_policy

if TYPE_CHECKING:
    from edge_runtime.scheduling.tables import Tables

PLANS = [LOCAL, Plan("local", 4)]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that prefers the second plan always."""
    network = nn.Linear(len(FEATURES), 2)
    nn.init.zeros_(network.weight)
    network.bias.data = torch.tensor([0.0, 1.0])
    path = tmp_path_factory.mktemp("policy") / "policy.onnx"
    write_policy(network, PLANS, path)
    return path


def test_a_written_policy_decides_on_the_device(policy: Path, tables: Tables) -> None:
    """The device reads the plans from the file itself, and takes the one that the network prefers."""
    found = LearnedPolicy(policy.read_bytes(), tables, 0.01)
    assert found.choose(State(8, 50.0, math.inf, LinkView(1e6, 0.01))) == PLANS[1]


def test_the_file_tells_nothing_of_the_machine_that_wrote_it(policy: Path) -> None:
    """No path of a source file is left in it."""
    assert str(Path(torch.__file__).parent).encode() not in policy.read_bytes()
    assert b".py" not in policy.read_bytes()
    assert {one.key for one in onnx.load(policy).metadata_props} == {"format", "actions"}


def test_a_file_that_computes_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference between PyTorch and onnxruntime beyond the tolerance is an error that tells it."""
    monkeypatch.setattr(policy_files, "TOLERANCE", -1.0)
    network = nn.Linear(len(FEATURES), 2)
    with pytest.raises(ModelError, match="differs from PyTorch by"):
        write_policy(network, PLANS, tmp_path / "policy.onnx")


def test_a_bundle_takes_a_policy_and_keeps_its_hash(policy: Path, split_bundle: Bundle, tmp_path: Path) -> None:
    """The device's half carries the policy, the server's does not; both still belong together."""
    shutil.copytree(split_bundle.folder, tmp_path / "both")
    install_policy(policy, tmp_path / "both")
    manifest = install_policy(policy, tmp_path / "both")
    assert manifest.hash == split_bundle.hash
    for half in ("device", "server"):
        halve(tmp_path / "both", tmp_path / half, half)
        assert (tmp_path / half / "policy.onnx").exists() == (half == "device")
    device = Bundle.load(tmp_path / "device")
    assert device.manifest.policy is not None
    assert device.read(device.manifest.policy) == policy.read_bytes()


def test_the_servers_half_takes_no_policy(policy: Path, split_bundle: Bundle, tmp_path: Path) -> None:
    """Only the device schedules."""
    halve(split_bundle.folder, tmp_path / "server", "server")
    with pytest.raises(BundleError, match="is the server's half"):
        install_policy(policy, tmp_path / "server")
