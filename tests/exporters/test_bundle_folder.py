"""Halves of a bundle, and folders that may be written to."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from edge_runtime.errors import BundleError
from edge_runtime.models import Bundle
from exporters.bundle_folder import split_bundle

if TYPE_CHECKING:
    from pathlib import Path


def test_halves_share_the_hash_and_divide_the_files(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """Each half has the whole manifest and only its own side's files."""
    for half, model in (("device", "eye"), ("server", "brain")):
        split_bundle(tiny_bundle.folder, tmp_path / half, half)
        written = Bundle.load(tmp_path / half)
        assert written.hash == tiny_bundle.hash
        assert written.manifest.half == half
        files = {path.name for path in (tmp_path / half).iterdir()} - {"bundle.toml"}
        assert files == {file.path for file in tiny_bundle.model("edge" if half == "device" else "server").files}
        assert all(name.startswith(model) for name in files)


def test_half_cannot_give_the_other_half(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """The message names the half that is there."""
    split_bundle(tiny_bundle.folder, tmp_path / "device", "device")
    with pytest.raises(BundleError, match="the half for: device"):
        split_bundle(tmp_path / "device", tmp_path / "server", "server")
    assert not (tmp_path / "server").exists()


def test_damaged_file_is_not_copied(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """A file whose sha256 differs from the manifest's stops the split."""
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle.folder, copy)
    (copy / "eye-fp16.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"eye-fp16\.onnx: its sha256"):
        split_bundle(copy, tmp_path / "out", "device")


def test_older_bundle_is_replaced_without_leftovers(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """Files of the older bundle go, a stranger's file stays."""
    split_bundle(tiny_bundle.folder, tmp_path / "out", "both")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    split_bundle(tiny_bundle.folder, tmp_path / "out", "server")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"bundle.toml", "notes.txt", "brain-int8.onnx", "brain-fp32.onnx"}


def test_bundle_is_not_split_onto_itself(tiny_bundle: Bundle) -> None:
    """That would delete the other half's files."""
    with pytest.raises(BundleError, match="is the bundle itself"):
        split_bundle(tiny_bundle.folder, tiny_bundle.folder, "device")
