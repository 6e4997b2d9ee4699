"""Reading bundles: the folder that carries models and tables from the exporters to device and server.

A bundle is a folder with ``bundle.toml`` and the files it names; ``docs/formats/bundle.md`` describes every key. The
device's half and the server's half share one ``hash``, so a server can refuse a device that was exported from other
weights. A file's sha256 is checked when it is opened.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edge_runtime.errors import BundleError

FORMAT = 1
MANIFEST = "bundle.toml"

Role = Literal["edge", "server"]
Runtime = Literal["onnxruntime", "litert", "tflite-runtime"]
Precision = Literal["fp32", "fp16", "int8"]
Kind = Literal["vit-attention", "vit-tokens", "cnn-filled"]
Positive = Annotated[int, msgspec.Meta(gt=0)]
Triple = tuple[float, float, float]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table: immutable, and an unknown key is an error."""


class FrameSpec(_Table, frozen=True):
    """Geometry of a frame: photos become ``size`` × ``size`` before anything else looks at them.

    With ``resize`` the shorter side is resized to it and the centre cropped; without, the whole photo is stretched.
    """

    size: Positive
    patch: Positive
    resize: Positive | None = None
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.size // self.patch


class GateSpec(_Table, frozen=True):
    """When the device answers alone and which patches it sends otherwise; chosen on tuning photos by `evaluate`.

    ``delta`` is the share of attention to send (rule sum), the lowest score (threshold), or a number of patches (top-k,
    random). ``score`` is ``last``, ``rollout`` or ``rollout[first:end]``. ``quality`` is the patch codec's, 1..100.
    """

    eta: float
    delta: float
    uncertainty: Literal["min-entropy", "shannon", "margin"] = "min-entropy"
    rule: Literal["sum", "threshold", "top-k", "random"] = "sum"
    score: str = "last"
    patch_codec: Literal["raw", "jpeg", "webp"] = "jpeg"
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)] = 75


class Tensor(_Table, frozen=True):
    """One input or output: our ``name``, the file's own ``tensor`` name, and its shape (-1: any)."""

    name: str
    tensor: str
    shape: tuple[int, ...]
    dtype: str = "float32"


class ModelFile(_Table, frozen=True):
    """One exported file and the runtimes it was run in and agreed with PyTorch."""

    path: str
    format: Literal["onnx", "tflite"]
    precision: Precision
    runtimes: tuple[Runtime, ...]
    sha256: str
    bytes: Positive
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class ModelSpec(_Table, frozen=True):
    """One model and its files, best first. ``mean`` and ``std`` are in 0..255 units.

    Kinds: ``vit-attention`` maps ``image`` to ``logits`` and ``attention`` (class-token row of the last layer
    ``[1, heads, tokens]``, or every matrix ``[1, layers, heads, tokens, tokens]``); ``vit-tokens`` maps ``patches``
    and ``positions`` to ``logits``; ``cnn-filled`` maps ``image``, missing patches filled with ``mean``, to ``logits``.
    """

    name: str
    role: Role
    kind: Kind
    mean: Triple
    std: Triple
    parameters: Positive
    macs: Positive
    files: tuple[ModelFile, ...]


class Manifest(_Table, frozen=True):
    """The whole of ``bundle.toml``. ``class_folders`` names, in class order, the folders of labelled data sets."""

    format: int
    name: str
    created_by: str
    hash: str
    half: Literal["device", "server", "both"]
    classes: tuple[str, ...]
    default_edge_model: str
    default_server_model: str
    frame: FrameSpec
    models: tuple[ModelSpec, ...]
    gate: GateSpec
    class_folders: tuple[str, ...] = ()


def manifest_hash(manifest: Manifest) -> str:
    """The sha256 that ties both halves: over everything but the hash itself, the half and the device's thresholds."""
    tied = {
        field: getattr(manifest, field)
        for field in manifest.__struct_fields__
        if field not in {"hash", "half", "gate", "created_by"}
    }
    return hashlib.sha256(msgspec.json.encode(tied, order="sorted")).hexdigest()


class Bundle:
    """A bundle that was read and found consistent; model files are checked when they are opened."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.hash = manifest.hash
        self.classes = manifest.classes
        self.frame = manifest.frame
        self.gate = manifest.gate

    @classmethod
    def load(cls, folder: str | Path) -> Bundle:
        """Read ``folder/bundle.toml``; raises ``BundleError`` naming the key that is wrong."""
        folder = Path(folder)
        path = folder / MANIFEST
        try:
            manifest = msgspec.toml.decode(path.read_bytes(), type=Manifest)
        except FileNotFoundError:
            raise BundleError(f"{path}: no such file; give a folder written by `edge-export bundle`") from None
        except (msgspec.DecodeError, OSError) as error:
            raise BundleError(f"{path}: {error}") from error
        _check(path, manifest)
        return cls(folder, manifest)

    def models(self, role: Role) -> tuple[ModelSpec, ...]:
        """Models of one side."""
        return tuple(model for model in self.manifest.models if model.role == role)

    def model(self, role: Role, name: str = "") -> ModelSpec:
        """The model of that name, or the side's default."""
        default = self.manifest.default_edge_model if role == "edge" else self.manifest.default_server_model
        wanted = name or default
        for model in self.models(role):
            if model.name == wanted:
                return model
        known = ", ".join(model.name for model in self.models(role)) or "none"
        raise BundleError(f"{self.folder}: no {role} model named {wanted!r}; it has {known}")

    def read(self, file: ModelFile) -> bytes:
        """The bytes of a model file, its sha256 checked."""
        path = self.folder / file.path
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            half = self.manifest.half
            raise BundleError(f"{path}: not in this bundle, which is the half for: {half}") from None
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise BundleError(f"{path}: its sha256 is not the one in {MANIFEST}; copy the bundle again")
        return data


def _check(path: Path, manifest: Manifest) -> None:
    if manifest.format != FORMAT:
        raise BundleError(f"{path}: format {manifest.format} is not supported; this version reads format {FORMAT}")
    if manifest.frame.size % manifest.frame.patch:
        raise BundleError(f"{path}: frame.size {manifest.frame.size} is not a multiple of frame.patch")
    if manifest.hash != manifest_hash(manifest):
        raise BundleError(f"{path}: its hash does not match its contents; write it with `edge-export bundle`")
    names = {(model.role, model.name) for model in manifest.models}
    for role, name in (("edge", manifest.default_edge_model), ("server", manifest.default_server_model)):
        if (role, name) not in names:
            raise BundleError(f"{path}: default_{role}_model {name!r} is not among its models")
    for model in manifest.models:
        for file in model.files:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", file.path):
                raise BundleError(f"{path}: {file.path!r} is not a plain file name")
