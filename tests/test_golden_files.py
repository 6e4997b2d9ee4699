"""Formats without a golden payload in `tests/codecs`: what was written once is read, and written again, everywhere."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image

from edge_runtime.codecs import image
from edge_runtime.control.modes import ModeTable
from edge_runtime.control.rounds import RoundTables
from edge_runtime.models.bundle import Bundle, manifest_hash, toml_table
from edge_runtime.scheduling import tables

ZOO = Path(__file__).parents[1] / "zoo"
BUNDLES = sorted(path.parent.relative_to(ZOO).as_posix() for path in ZOO.glob("**/bundle.toml"))
GOLDEN = Path(__file__).parent / "codecs" / "golden"


@pytest.mark.parametrize("folder", BUNDLES)
def test_bundles(folder: str) -> None:
    """The zoo's, with their hashes."""
    manifest = Bundle.load(ZOO / folder).manifest
    assert tomli_w.dumps(toml_table(manifest)) == (ZOO / folder / "bundle.toml").read_text()
    assert manifest_hash(manifest) == manifest.hash


@pytest.mark.parametrize("name", ["ensemble", "widths"])
def test_modes_of_encoders(name: str) -> None:
    """The zoo's."""
    data = (ZOO / "slimmable" / f"{name}.modes.json").read_bytes()
    assert ModeTable.load(data).dump() == data


def test_tables_of_rounds() -> None:
    """The zoo's."""
    data = (ZOO / "amot" / "rounds.json").read_bytes()
    assert RoundTables.load(data).dump() == data


def test_tables_of_the_scheduler(tmp_path: Path) -> None:
    """The zoo's."""
    stored, again = ZOO / "lite0" / "tables.json", tmp_path / "tables.json"
    tables.save(tables.load(stored), again)
    assert again.read_bytes() == stored.read_bytes()


def slope() -> np.ndarray:
    """Uint8 ``[16, 16, 3]``, smooth, so that lossy codecs stay close."""
    row, column = np.mgrid[0:16, 0:16]
    return np.stack([8 * row, 8 * column, 60 + 4 * (row + column)], axis=2).astype(np.uint8)


@pytest.mark.parametrize(("suffix", "levels"), [("png", 0), ("jpg", 12), ("webp", 12)])
def test_images(suffix: str, levels: int) -> None:
    """Read to within so many grey levels, which the encoder lost; a PNG exactly."""
    pixels = image.decode((GOLDEN / f"image-v1.{suffix}").read_bytes(), 16)
    assert np.abs(pixels.astype(int) - slope()).max() <= levels


def test_an_image_is_written_losslessly() -> None:
    """As a PNG, it is the picture that was given."""
    with Image.open(io.BytesIO(image.encode(slope(), "png"))) as again:
        assert np.array_equal(np.asarray(again), slope())
