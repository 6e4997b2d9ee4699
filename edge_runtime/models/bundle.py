"""Reading bundles: the folder that carries models and tables from the exporters to device and server.

A bundle is a folder with ``bundle.toml`` and the files it names; ``docs/formats/bundle.md`` describes every key. The
device's half and the server's half share one ``hash``, so a server can refuse a device that was exported from other
weights. A file's sha256 is checked when it is opened.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from edge_runtime.errors import ArgumentError, BundleError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FORMAT = 1
MANIFEST = "bundle.toml"

Role = Literal["edge", "server"]
Runtime = Literal["onnxruntime", "litert", "tflite-runtime"]
Precision = Literal["fp32", "fp16", "int8"]
Kind = Literal[
    "vit-attention",
    "vit-tokens",
    "vit-states",
    "vit-update",
    "mae-recovery",
    "cnn-filled",
    "cnn-whole",
    "cnn-prefix",
    "cnn-suffix",
    "latent-encoder",
    "latent-decoder",
]
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


class StoredFile(_Table, frozen=True):
    """A file of the bundle that is no model itself."""

    path: str
    sha256: str
    bytes: Positive


class ModelFile(_Table, frozen=True):
    """One exported file and the runtimes it was run in and agreed with the original network.

    ``weights`` is the external data of an ONNX file, which several files may share.
    """

    path: str
    format: Literal["onnx", "tflite"]
    precision: Precision
    runtimes: tuple[Runtime, ...]
    sha256: str
    bytes: Positive
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: StoredFile | None = None


class ModelSpec(_Table, frozen=True):
    """One model and its files, best first. ``mean`` and ``std`` are in 0..255 units.

    Kinds: ``vit-attention`` maps ``image`` to ``logits`` and ``attention`` (class-token row of the last layer
    ``[1, heads, tokens]``, or every matrix ``[1, layers, heads, tokens, tokens]``); ``vit-tokens`` maps ``patches``
    and ``positions`` to ``logits``; ``cnn-filled`` maps ``image``, missing patches filled with ``mean``, to ``logits``;
    ``cnn-whole``, the device's, maps ``image`` to ``logits``; ``cnn-prefix`` maps ``image`` to ``features``, which
    ``cnn-suffix`` maps to ``logits``. ``mae-recovery`` maps ``patches`` and ``positions`` to all patches,
    ``recovered``; ``vit-states`` maps ``image`` and ``visible``, 1 where a patch arrived, to ``logits``, ``attention``
    (as above) and ``states``, with which ``vit-update`` maps both and the ``positions`` that changed to new ``logits``.
    ``latent-encoder`` maps ``image`` to a ``latent`` or a part of one, which ``latent-decoder`` maps to ``logits``.
    """

    name: str
    role: Role
    kind: Kind
    mean: Triple
    std: Triple
    parameters: Positive
    macs: Positive
    files: tuple[ModelFile, ...]


class SplitSpec(_Table, frozen=True):
    """One cut through a network: ``prefix`` is the edge model before ``tensor``, ``suffix`` the server model behind it.

    ``cut`` is its short name, ``tensor`` the one in the original graph; ``tables`` are the feature codec's.
    """

    network: str
    cut: str
    tensor: str
    prefix: str
    suffix: str
    tables: StoredFile


class RoundsSpec(_Table, frozen=True):
    """Two rounds of questions about one frame: three server models, and how the device samples in the first round.

    ``recovery`` fills in what was not sent, ``classifier`` looks at the result, ``update`` looks again after the second
    round. ``tables`` are what calibration measured: the device plans by them, the server takes its temperatures from
    them. What the server asks for is its attention times 1 + ``uncertainty_weight`` × the recovery's uncertainty.
    """

    classifier: str
    recovery: str
    update: str
    pattern: Literal["random", "grid", "jittered-grid"]
    tables: StoredFile | None = None
    uncertainty_weight: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class LatentSpec(_Table, frozen=True):
    """A family of encoders, least to most work, between which the device changes from frame to frame.

    With ``sums`` the first n encoders run and their outputs add up (an ensemble), else the n-th runs alone (a slimmable
    network, exported at each width). All give one shape, which the server's ``decoder`` takes, quantised and coded by
    ``tables``. ``modes`` are what calibration measured of every number of encoders and levels.
    """

    name: str
    encoders: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=16)]
    sums: bool
    decoder: str
    tables: StoredFile
    modes: StoredFile


class Manifest(_Table, frozen=True):
    """The whole of ``bundle.toml``. ``class_folders`` names, in class order, the folders of labelled data sets.

    ``default_edge_model`` is empty where the device has no model. ``default_split`` is a cut's name; a bundle without
    ``splits`` has none. ``policy`` is what the device's scheduler learned, an ONNX file. The first of ``latents`` is
    the default.
    """

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
    gate: GateSpec | None = None
    class_folders: tuple[str, ...] = ()
    splits: tuple[SplitSpec, ...] = ()
    default_split: str = ""
    policy: StoredFile | None = None
    rounds: RoundsSpec | None = None
    latents: tuple[LatentSpec, ...] = ()


def toml_table(manifest: Manifest) -> dict[str, Any]:
    """The manifest as ``bundle.toml`` has it, without what equals its default.

    So a field that is added later, with a default, leaves the hashes of older bundles as they are. (msgspec's own
    ``omit_defaults`` compares by identity, which tells a decoded "float32" from the default.)
    """
    table: dict[str, Any] = _plain(manifest)
    return table


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, _Table):
        return value
    given = {field.name: (getattr(value, field.name), field.default) for field in msgspec.structs.fields(value)}
    return {name: _plain(item) for name, (item, default) in given.items() if item != default}


def manifest_hash(manifest: Manifest) -> str:
    """The sha256 that ties both halves: over all but itself, the half, and what only the device decides by."""
    free = {"hash", "half", "gate", "policy", "created_by"}
    tied = {key: value for key, value in toml_table(manifest).items() if key not in free}
    return hashlib.sha256(msgspec.json.encode(tied, order="sorted")).hexdigest()


def files_of(manifest: Manifest, roles: Collection[Role] = ("edge", "server")) -> dict[str, ModelFile | StoredFile]:
    """Files by path that ``roles`` need: their models', tables of cuts, rounds and latents for both, the edge's own."""
    files: list[ModelFile | StoredFile] = [split.tables for split in manifest.splits]
    files += [latent.tables for latent in manifest.latents]
    if manifest.rounds and manifest.rounds.tables:
        files.append(manifest.rounds.tables)
    if "edge" in roles:
        files += [latent.modes for latent in manifest.latents]
        files += [manifest.policy] if manifest.policy else []
    for model in manifest.models:
        for file in model.files if model.role in roles else ():
            files += [file, file.weights] if file.weights else [file]
    return {file.path: file for file in files}


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

    def split(self, cut: str = "") -> SplitSpec:
        """The cut of that name, or the default one."""
        wanted = cut or self.manifest.default_split
        for split in self.manifest.splits:
            if split.cut == wanted:
                return split
        if not self.manifest.splits:
            raise BundleError(f"{self.folder}: its networks are not cut; cut one with `edge-export split`")
        known = ", ".join(split.cut for split in self.manifest.splits)
        raise BundleError(f"{self.folder}: no cut named {wanted!r}; it has {known}")

    def latent(self, name: str = "") -> LatentSpec:
        """The family of encoders of that name, or the default one."""
        latents = self.manifest.latents
        for latent in latents:
            if name in ("", latent.name):
                return latent
        if not latents:
            raise BundleError(f"{self.folder}: it has no slimmable encoders; export some with `edge-export slimmable`")
        raise BundleError(f"{self.folder}: no encoders named {name!r}; it has {', '.join(one.name for one in latents)}")

    def gate_with(self, changes: Mapping[str, Any]) -> GateSpec:
        """The gate with some of its keys changed; BundleError without one, unless the changes say what it must know."""
        if self.gate is None and not {"eta", "delta"} <= changes.keys():
            raise BundleError(f"{self.folder}: has no gate; give eta and delta")
        try:
            return msgspec.convert(msgspec.to_builtins(self.gate or {}) | changes, GateSpec)
        except msgspec.ValidationError as error:
            raise ArgumentError(f"gate: {error}") from error

    def source(self, file: ModelFile) -> bytes | Path:
        """What a runtime loads: the file's bytes, or its path where weights lie beside it; every sha256 is checked."""
        data = self.read(file)
        if file.weights is None:
            return data
        self.read(file.weights)
        return self.folder / file.path

    def read(self, file: ModelFile | StoredFile) -> bytes:
        """The bytes of a file, its sha256 checked."""
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
    has_edge = any(model.role == "edge" for model in manifest.models)
    for role, name in (("edge", manifest.default_edge_model), ("server", manifest.default_server_model)):
        if (role, name) not in names and (name or role == "server" or has_edge):
            raise BundleError(f"{path}: default_{role}_model {name!r} is not among its models")
    for name in files_of(manifest):
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
            raise BundleError(f"{path}: {name!r} is not a plain file name")
    _check_splits(path, manifest)
    _check_rounds(path, manifest)
    _check_latents(path, manifest)


def _check_splits(path: Path, manifest: Manifest) -> None:
    kinds = {(model.role, model.name): model.kind for model in manifest.models}
    for split in manifest.splits:
        if kinds.get(("edge", split.prefix)) != "cnn-prefix":
            raise BundleError(f"{path}: cut {split.cut}: {split.prefix!r} is not among its cnn-prefix edge models")
        if kinds.get(("server", split.suffix)) != "cnn-suffix":
            raise BundleError(f"{path}: cut {split.cut}: {split.suffix!r} is not among its cnn-suffix server models")
    cuts = [split.cut for split in manifest.splits]
    if len(set(cuts)) < len(cuts):
        raise BundleError(f"{path}: two cuts have the same name, of {', '.join(cuts)}")
    if manifest.default_split not in (cuts or [""]):
        raise BundleError(f"{path}: default_split {manifest.default_split!r} is not among its cuts")


def _check_rounds(path: Path, manifest: Manifest) -> None:
    if manifest.rounds is None:
        return
    kinds = {model.name: model.kind for model in manifest.models if model.role == "server"}
    wanted = {"classifier": "vit-states", "recovery": "mae-recovery", "update": "vit-update"}
    for part, kind in wanted.items():
        name = getattr(manifest.rounds, part)
        if kinds.get(name) != kind:
            raise BundleError(f"{path}: rounds.{part} {name!r} is not among its {kind} server models")


def _check_latents(path: Path, manifest: Manifest) -> None:
    kinds = {(model.role, model.name): model.kind for model in manifest.models}
    for latent in manifest.latents:
        for encoder in latent.encoders:
            if kinds.get(("edge", encoder)) != "latent-encoder":
                raise BundleError(
                    f"{path}: latents.{latent.name}: {encoder!r} is not among its latent-encoder edge models"
                )
        if kinds.get(("server", latent.decoder)) != "latent-decoder":
            raise BundleError(
                f"{path}: latents.{latent.name}: {latent.decoder!r} is not among its latent-decoder server models"
            )
    names = [latent.name for latent in manifest.latents]
    if len(set(names)) < len(names):
        raise BundleError(f"{path}: two families of encoders have the same name, of {', '.join(names)}")
