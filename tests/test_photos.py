"""Photos from files, tar files and bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import PhotoError
from edge_runtime.models.bundle import FrameSpec
from edge_runtime.photos import open_frame, photo_files

if TYPE_CHECKING:
    from pathlib import Path

FRAME = FrameSpec(size=32, patch=16)


@pytest.mark.parametrize("name", ["missing.tar", "text.tar"])
def test_a_source_that_is_no_archive_is_named(tmp_path: Path, name: str) -> None:
    """A missing file and a file that is no tar are one-line errors."""
    (tmp_path / "text.tar").write_text("not a tar file")
    with pytest.raises(PhotoError, match=name):
        photo_files(tmp_path / name)


def test_a_folder_without_photos_says_what_it_expects(tmp_path: Path) -> None:
    """An empty folder is an error, not an empty result."""
    with pytest.raises(PhotoError, match="no photo found"):
        photo_files(tmp_path)


def test_a_photo_becomes_a_frame_of_the_bundles_size() -> None:
    """Whatever its size, it comes out square and three-channelled."""
    out = io.BytesIO()
    Image.fromarray(np.full((30, 40, 3), 90, np.uint8)).save(out, "JPEG")
    assert open_frame(out.getvalue(), FRAME).shape == (32, 32, 3)


def test_a_file_that_is_no_picture_is_an_error(tmp_path: Path) -> None:
    """The path is in the message."""
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    with pytest.raises(PhotoError, match=r"x\.jpg"):
        open_frame(tmp_path / "x.jpg", FRAME)
