"""A spec's mistakes are named before anything is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.errors import BundleError
from exporters.bundle_spec import read_spec

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[frame]", "colour = 1\n[frame]", "unknown field `colour`"),
        ("size = 32", "size = 33", "frame.size 33 is not a multiple of frame.patch 16"),
        ('name = "brain"', 'name = "eye"', "two models are named 'eye'"),
        ('default_edge_model = "eye"', 'default_edge_model = "brain"', "default_edge_model 'brain' is not among"),
        ('name = "eye"', 'name = "../eye"', r"at `\$.models\[0\].name`"),
        ('role = "server"', 'role = "edge"', "default_server_model 'brain' is not among its server models"),
        ('"bird"]', '"bird"]\nclass_folders = ["n1"]', "1 class_folders for 3 classes"),
        ('kind = "vit-attention"', 'kind = "cnn-filled"', "eye is a cnn-filled model in the role 'edge'"),
        ('precision = "fp32"', 'precision = "fp8"', "Invalid enum value 'fp8'"),
    ],
)
def test_mistake_is_named(tmp_path: Path, spec_path: Path, old: str, new: str, message: str) -> None:
    """The message holds the file and the key or value that is wrong."""
    path = tmp_path / "wrong.toml"
    path.write_text(spec_path.read_text().replace(old, new))
    with pytest.raises(BundleError, match=message) as caught:
        read_spec(path)
    assert str(path) in str(caught.value)


def test_missing_spec_is_named(tmp_path: Path) -> None:
    """No such file."""
    with pytest.raises(BundleError, match=r"none\.toml: no such file"):
        read_spec(tmp_path / "none.toml")
