"""The spec of a bundle: a TOML file that says which networks to export, with which weights, into which files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edge_runtime.errors import BundleError
from edge_runtime.models.bundle import FrameSpec, GateSpec, Positive, Precision, Role, RoundsSpec, Triple

PLAIN_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"
PlainName = Annotated[str, msgspec.Meta(pattern=PLAIN_NAME)]
Format = Literal["onnx", "tflite"]
WholeKind = Literal["vit-attention", "vit-tokens", "vit-states", "vit-update", "mae-recovery", "cnn-filled"]
"""Kinds of models that are exported whole; `edge-export split` writes the others."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table: immutable, and an unknown key is an error."""


class FileEntry(_Table, frozen=True):
    """One file to export."""

    format: Format
    precision: Precision


class NetworkEntry(_Table, frozen=True, kw_only=True):
    """A PyTorch network by its name in ``catalogue.build_network``, or one's own as ``MODULE:FACTORY``.

    ``weights`` is a state dict (.safetensors or .pt), relative to the spec. Without it, EfficientNet-Lite has its
    ImageNet weights and one's own network those that its factory gave it; the other networks must have weights.
    ``width``, ``depth`` and ``heads`` shape ``hybrid``, ``vit``, ``two-round-vit`` and ``mae``, ``decoder_…`` the
    latter's other half; ``imagenet_classes`` cuts EfficientNet-Lite's classifier to those rows. ``trunk_weights`` are
    those of the EfficientNet-Lite0 in ``two-round-vit``, ``weights`` those of its ViT.
    """

    network: str
    weights: str | None = None
    width: Positive | None = None
    depth: Positive | None = None
    heads: Positive | None = None
    decoder_width: Positive | None = None
    decoder_depth: Positive | None = None
    decoder_heads: Positive | None = None
    imagenet_classes: tuple[int, ...] | None = None
    trunk_weights: str | None = None


class ModelEntry(NetworkEntry, frozen=True, kw_only=True):
    """One model of the bundle; ``mean`` and ``std`` are in 0..255 units, ``files`` lists the best first.

    ``all_layers`` makes a ``vit-attention`` model report every attention matrix, which rollout needs.
    """

    name: PlainName
    role: Role
    kind: WholeKind
    mean: Triple
    std: Triple
    files: Annotated[tuple[FileEntry, ...], msgspec.Meta(min_length=1)]
    all_layers: bool = False


class BundleSpec(_Table, frozen=True):
    """The whole of a spec; the keys that a bundle has too mean what they mean there."""

    name: str
    classes: Annotated[tuple[str, ...], msgspec.Meta(min_length=2)]
    default_server_model: str
    frame: FrameSpec
    models: tuple[ModelEntry, ...]
    default_edge_model: str = ""
    gate: GateSpec | None = None
    rounds: RoundsSpec | None = None
    class_folders: tuple[str, ...] = ()


def read_spec(path: Path) -> BundleSpec:
    """Read a spec; raises ``BundleError`` naming the key that is wrong."""
    try:
        spec = msgspec.toml.decode(path.read_bytes(), type=BundleSpec)
    except FileNotFoundError:
        raise BundleError(f"{path}: no such file; give a spec (see docs/exporting.md) or a bundle folder") from None
    except (msgspec.DecodeError, OSError) as error:
        raise BundleError(f"{path}: {error}") from error
    _check(path, spec)
    return spec


def _check(path: Path, spec: BundleSpec) -> None:
    """Find what would only fail after minutes of exporting."""
    if spec.frame.size % spec.frame.patch:
        raise BundleError(f"{path}: frame.size {spec.frame.size} is not a multiple of frame.patch {spec.frame.patch}")
    if len(spec.class_folders) not in {0, len(spec.classes)}:
        raise BundleError(f"{path}: {len(spec.class_folders)} class_folders for {len(spec.classes)} classes; name each")
    names = [model.name for model in spec.models]
    for name in names:
        if names.count(name) > 1:
            raise BundleError(f"{path}: two models are named {name!r}; file names come from it, give each its own")
    sides = {(model.role, model.name) for model in spec.models}
    has_edge = any(model.role == "edge" for model in spec.models)
    for role, name in (("edge", spec.default_edge_model), ("server", spec.default_server_model)):
        if (role, name) not in sides and (name or role == "server" or has_edge):
            raise BundleError(f"{path}: default_{role}_model {name!r} is not among its {role} models")
    for model in spec.models:
        if (model.role == "edge") != (model.kind == "vit-attention"):
            raise BundleError(
                f"{path}: {model.name} is a {model.kind} model in the role {model.role!r}; "
                "edge models are vit-attention, server models are of the other kinds"
            )
    if spec.rounds and spec.rounds.tables:
        raise BundleError(f"{path}: rounds.tables: nothing is calibrated yet; leave it to `edge-export calibrate`")
