"""Bundles that are whole load; anything else is named."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec
import pytest
import tomli_w

from edge_runtime.errors import BundleError
from edge_runtime.models import Bundle
from edge_runtime.models.bundle import Manifest, RoundsSpec, SplitSpec, StoredFile, files_of, manifest_hash, toml_table


@pytest.fixture
def copy(zoo: Bundle, tmp_path: Path) -> Path:
    """A copy of the zoo to spoil."""
    shutil.copytree(zoo.folder, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "format 2 is not supported; this version reads format 1"),
        ("size = 224", "size = 225", "frame.size 225 is not a multiple of frame.patch"),
        ('"tench"', '"trench"', "its hash does not match its contents"),
        ("[frame]", "[frame]\ncolour = 1", "unknown field `colour`"),
        ("[frame]", "[frame", "bundle.toml"),
        ('"edge-vit-fp16.onnx"', '"../fp16.onnx"', "hash does not match"),
    ],
)
def test_spoiled_manifest_is_named(copy: Path, old: str, new: str, message: str) -> None:
    """The message holds the file and what is wrong in it."""
    path = copy / "bundle.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.load(copy)
    assert "bundle.toml" in str(caught.value)


def test_missing_folder_says_who_writes_bundles(tmp_path: Path) -> None:
    """The message names the command."""
    with pytest.raises(BundleError, match="edge-export bundle"):
        Bundle.load(tmp_path / "none")


def test_changed_model_file_is_refused(copy: Path) -> None:
    """A model whose bytes changed is not run."""
    bundle = Bundle.load(copy)
    file = bundle.model("edge").files[0]
    (copy / file.path).write_bytes(b"another model")
    with pytest.raises(BundleError, match=f"{file.path}: its sha256"):
        bundle.read(file)


def test_unknown_model_lists_the_known(zoo: Bundle) -> None:
    """A name that the side does not have is answered with those it has."""
    with pytest.raises(BundleError, match="no edge model named 'nose'; it has edge-vit"):
        zoo.model("edge", "nose")


def test_both_halves_and_new_thresholds_keep_the_hash(zoo: Bundle) -> None:
    """The device may be tuned without the server noticing; other weights may not pass."""
    manifest = zoo.manifest
    gate = msgspec.structs.replace(manifest.gate, eta=0.1)
    tuned = msgspec.structs.replace(manifest, half="device", gate=gate, policy=StoredFile("policy.onnx", "0" * 64, 1))
    assert manifest_hash(tuned) == manifest.hash
    first = manifest.models[0]
    other = msgspec.structs.replace(manifest, models=(msgspec.structs.replace(first, macs=1), *manifest.models[1:]))
    assert manifest_hash(other) != manifest.hash


def test_a_policy_is_the_devices_file(copy: Path) -> None:
    """It is read back from the manifest, its sha256 checked, and the server needs none of it."""
    (copy / "policy.onnx").write_bytes(b"learned")
    policy = StoredFile("policy.onnx", hashlib.sha256(b"learned").hexdigest(), 7)
    write(copy, msgspec.structs.replace(Bundle.load(copy).manifest, policy=policy))
    bundle = Bundle.load(copy)
    assert bundle.manifest.policy == policy
    assert bundle.read(policy) == b"learned"
    assert files_of(bundle.manifest, ["edge"])["policy.onnx"] == policy
    assert "policy.onnx" not in files_of(bundle.manifest, ["server"])


def test_a_policys_name_is_plain(copy: Path) -> None:
    """It may not lead out of the folder."""
    write(copy, msgspec.structs.replace(Bundle.load(copy).manifest, policy=StoredFile("../policy.onnx", "0", 1)))
    with pytest.raises(BundleError, match=r"'\.\./policy\.onnx' is not a plain file name"):
        Bundle.load(copy)


def test_what_equals_its_default_counts_as_absent(zoo: Bundle) -> None:
    """A default that is written out gives the same table and hash, so later fields leave older hashes alone."""
    given = msgspec.to_builtins(zoo.manifest)
    assert given["models"][0]["files"][0]["inputs"][0]["dtype"] == "float32"
    decoded = msgspec.convert(msgspec.json.decode(msgspec.json.encode(given)), Manifest, strict=False)
    assert toml_table(decoded) == toml_table(zoo.manifest)
    assert manifest_hash(decoded) == zoo.hash
    assert "interpolation" not in toml_table(zoo.manifest)["frame"]


def test_a_bundle_without_cuts_says_so(zoo: Bundle) -> None:
    """The message names the command that writes them."""
    with pytest.raises(BundleError, match=r"its networks are not cut; cut one with `edge-export split`"):
        zoo.split()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prefix": "edge-vit"}, "cut middle: 'edge-vit' is not among its cnn-prefix edge models"),
        ({"suffix": "whole"}, "cut middle: 'whole' is not among its cnn-suffix server models"),
        ({"tables": StoredFile("../tables", "0", 1)}, "'../tables' is not a plain file name"),
        ({"cut": "end"}, "default_split 'middle' is not among its cuts"),
    ],
)
def test_a_cut_that_does_not_hold_together_is_named(copy: Path, change: dict[str, object], message: str) -> None:
    """Both halves of a cut must be there, with the right kinds."""
    manifest = split_manifest(Bundle.load(copy).manifest)
    split = msgspec.structs.replace(manifest.splits[0], **change)
    write(copy, msgspec.structs.replace(manifest, splits=(split,)))
    with pytest.raises(BundleError, match=message):
        Bundle.load(copy)


def test_a_cut_is_found_by_name_or_default(copy: Path) -> None:
    """Another name is answered with those there are."""
    write(copy, split_manifest(Bundle.load(copy).manifest))
    bundle = Bundle.load(copy)
    assert bundle.split() == bundle.split("middle")
    with pytest.raises(BundleError, match="no cut named 'end'; it has middle"):
        bundle.split("end")


@pytest.mark.parametrize("part", ["classifier", "recovery", "update"])
def test_rounds_that_do_not_hold_together_are_named(copy: Path, part: str) -> None:
    """Each of the three models must be there, with the right kind."""
    manifest = rounds_manifest(Bundle.load(copy).manifest)
    spoiled = msgspec.structs.replace(manifest.rounds, **{part: "vit-tokens"})
    write(copy, msgspec.structs.replace(manifest, rounds=spoiled))
    with pytest.raises(BundleError, match=rf"rounds.{part} 'vit-tokens' is not among its \S+ server models"):
        Bundle.load(copy)


def test_tables_of_rounds_belong_to_both_halves_and_to_the_hash(zoo: Bundle) -> None:
    """Device and server must judge confidence by the same calibration."""
    manifest = rounds_manifest(zoo.manifest)
    tables = StoredFile("rounds.json", "0" * 64, 1)
    calibrated = msgspec.structs.replace(manifest, rounds=msgspec.structs.replace(manifest.rounds, tables=tables))
    assert [files_of(calibrated, [role])["rounds.json"] for role in ("edge", "server")] == [tables] * 2
    assert manifest_hash(calibrated) != manifest_hash(manifest)


def test_a_device_may_have_no_model(copy: Path) -> None:
    """The default's name is empty then, and asking for an edge model says that there is none."""
    manifest = rounds_manifest(Bundle.load(copy).manifest)
    servers = tuple(model for model in manifest.models if model.role == "server")
    write(copy, msgspec.structs.replace(manifest, models=servers, default_edge_model=""))
    with pytest.raises(BundleError, match="no edge model named ''; it has none"):
        Bundle.load(copy).model("edge")


def test_a_device_with_models_has_a_default(copy: Path) -> None:
    """An empty name is no way out where there is a model to name."""
    write(copy, msgspec.structs.replace(Bundle.load(copy).manifest, default_edge_model=""))
    with pytest.raises(BundleError, match="default_edge_model '' is not among its models"):
        Bundle.load(copy)


def rounds_manifest(manifest: Manifest) -> Manifest:
    """The zoo's manifest with the three models of two rounds, which have the files of other models."""
    kinds = {"vit": "vit-states", "mae": "mae-recovery", "vit-again": "vit-update"}
    models = tuple(msgspec.structs.replace(manifest.models[-1], name=name, kind=kind) for name, kind in kinds.items())
    rounds = RoundsSpec(classifier="vit", recovery="mae", update="vit-again", pattern="jittered-grid")
    return msgspec.structs.replace(manifest, models=(*manifest.models, *models), rounds=rounds)


def split_manifest(manifest: Manifest) -> Manifest:
    """The zoo's manifest with a cut called middle, whose halves have the files of other models."""
    prefix = msgspec.structs.replace(manifest.models[0], name="net.middle", kind="cnn-prefix")
    suffix = msgspec.structs.replace(manifest.models[-1], name="net.middle", kind="cnn-suffix")
    tables = StoredFile("net.middle.tables", "0" * 64, 1)
    split = SplitSpec("net", "middle", "relu_5", "net.middle", "net.middle", tables)
    models = (*manifest.models, prefix, suffix)
    return msgspec.structs.replace(manifest, models=models, splits=(split,), default_split="middle")


def write(folder: Path, manifest: Manifest) -> None:
    """Write a manifest with its right hash."""
    manifest = msgspec.structs.replace(manifest, hash=manifest_hash(manifest))
    (folder / "bundle.toml").write_text(tomli_w.dumps(toml_table(manifest)))
