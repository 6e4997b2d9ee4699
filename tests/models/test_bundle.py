"""Bundles that are whole load; anything else is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from edge_runtime.errors import BundleError
from edge_runtime.models import Bundle
from edge_runtime.models.bundle import manifest_hash


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
    tuned = msgspec.structs.replace(manifest, half="device", gate=msgspec.structs.replace(manifest.gate, eta=0.1))
    assert manifest_hash(tuned) == manifest.hash
    first = manifest.models[0]
    other = msgspec.structs.replace(manifest, models=(msgspec.structs.replace(first, macs=1), *manifest.models[1:]))
    assert manifest_hash(other) != manifest.hash
