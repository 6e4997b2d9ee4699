"""Networks by name, and weights that load strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from edge_runtime.errors import ArgumentError, ModelError
from edge_runtime.models.bundle import FrameSpec
from exporters.bundle_spec import NetworkEntry
from exporters.networks.catalogue import build_network, load_weights, own_network
from exporters.networks.vit import VisionTransformer, VitConfig

if TYPE_CHECKING:
    from pathlib import Path


def test_official_deit_checkpoint_loads(deit_weights: Path) -> None:
    """The published key names and shapes are ours."""
    load_weights(VisionTransformer(VitConfig()), deit_weights)


def test_official_nesting_is_undone(tmp_path: Path, tiny_vit: VisionTransformer) -> None:
    """A state dict under the key "model" loads like a bare one."""
    torch.save({"model": tiny_vit.state_dict()}, tmp_path / "nested.pt")
    fresh = VisionTransformer(tiny_vit.config)
    load_weights(fresh, tmp_path / "nested.pt")
    assert torch.equal(fresh.head.weight, tiny_vit.head.weight)


def test_wrong_checkpoint_is_named_in_one_line(tmp_path: Path, tiny_vit: VisionTransformer) -> None:
    """Missing, unexpected and mis-shaped keys are all told, the first of each by name."""
    state = dict(tiny_vit.state_dict())
    state["head.weight"] = torch.zeros(7, 16)
    state["distillation_token"] = state.pop("cls_token")
    torch.save(state, tmp_path / "wrong.pt")
    with pytest.raises(ModelError) as caught:
        load_weights(VisionTransformer(tiny_vit.config), tmp_path / "wrong.pt")
    message = str(caught.value)
    assert "\n" not in message
    assert "1 missing: cls_token" in message
    assert "1 unexpected: distillation_token" in message
    assert "1 mis-shaped: head.weight [7, 16] instead of [3, 16]" in message


@pytest.mark.parametrize("name", ["junk.pt", "junk.safetensors"])
def test_junk_is_refused(tmp_path: Path, tiny_vit: VisionTransformer, name: str) -> None:
    """Bytes that are no state dict are told as such, in one line."""
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(ModelError, match=r"junk.*not a \.safetensors or weights-only \.pt state dict"):
        load_weights(tiny_vit, tmp_path / name)


def test_missing_file_says_how_to_make_one(tmp_path: Path, tiny_vit: VisionTransformer) -> None:
    """The message names the file and the training command."""
    with pytest.raises(ModelError, match=r"gone\.pt: no such file; train it"):
        load_weights(tiny_vit, tmp_path / "gone.pt")


def test_transformers_must_have_weights(tmp_path: Path) -> None:
    """A network with random weights is never exported by accident."""
    with pytest.raises(ArgumentError, match="hybrid: has no weights of its own"):
        build_network(NetworkEntry(network="hybrid"), FrameSpec(224, 16), 10, tmp_path)


def test_unknown_efficientnet_lists_the_known(tmp_path: Path) -> None:
    """Variants that the package index lacks are refused."""
    with pytest.raises(ArgumentError, match="efficientnet-lite0, 1 and 2"):
        build_network(NetworkEntry(network="efficientnet-lite7"), FrameSpec(224, 16), 10, tmp_path)


def test_own_factory_is_found_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MODULE:FACTORY is imported from where the command runs, and the import path is left as it was."""
    (tmp_path / "mine_alone.py").write_text("import torch\n\ndef net():\n    return torch.nn.Linear(1, 2)\n")
    monkeypatch.chdir(tmp_path)
    assert own_network("mine_alone:net").out_features == 2


@pytest.mark.parametrize("path", ["torch.nn", "torch.nn:NoSuchThing", "no_such_module:net"])
def test_unimportable_factory_is_named(path: str) -> None:
    """The message repeats what was asked for."""
    with pytest.raises(ArgumentError, match=f"{path}: expected MODULE:FACTORY"):
        own_network(path)


def test_layers_that_only_training_needs_are_left_behind(tmp_path: Path) -> None:
    """Weights saved with a helper around the network load strictly as the network."""
    network = torch.nn.Linear(2, 3)
    state = {f"network.{key}": value for key, value in network.state_dict().items()}
    torch.save({**state, "to_teacher.weight": torch.zeros(1)}, tmp_path / "student.pt")
    other = torch.nn.Linear(2, 3)
    load_weights(other, tmp_path / "student.pt")
    torch.testing.assert_close(other.weight, network.weight)
    torch.save({"network.weight": network.weight}, tmp_path / "student.pt")
    with pytest.raises(ModelError, match="1 missing: bias"):
        load_weights(other, tmp_path / "student.pt")
