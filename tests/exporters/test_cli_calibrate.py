"""`edge-export calibrate` fits a bundle's tables to other photos."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edge_runtime.codecs.feature_tables import Tables
from edge_runtime.models import Bundle
from exporters.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bright_photos(tmp_path: Path) -> Path:
    """Twenty bright photos."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos" / "any").mkdir(parents=True)
    for number in range(20):
        pixels = rng.integers(200, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / "any" / f"{number}.png")
    return tmp_path / "photos"


def test_tables_change_and_models_stay(
    split_bundle: Bundle, bright_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Means move to those of the new photos, the hash with them; rates rise with quality."""
    out = tmp_path / "out"
    options = ["--photos", str(bright_photos), "--out", str(out), "--json"]
    assert main(["calibrate", str(split_bundle.folder), *options]) == 0
    report = json.loads(capsys.readouterr().out)
    found = Bundle.load(out)
    assert found.hash == report["hash"] != split_bundle.hash
    for old, new in zip(split_bundle.manifest.splits, found.manifest.splits, strict=True):
        means = [Tables(one.read(spec.tables)).plan.mean for one, spec in ((split_bundle, old), (found, new))]
        assert (means[1] > means[0]).all()
        sizes = [rate["bytes"] for rate in report["rates"] if rate["cut"] == new.cut]
        assert sizes == sorted(sizes)
        assert report["drift_factor"][new.cut] > 0
    assert found.manifest.models == split_bundle.manifest.models


def test_bundles_without_cuts_are_refused(
    zoo: Bundle, bright_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line."""
    options = ["--photos", str(bright_photos), "--out", str(tmp_path / "out")]
    assert main(["calibrate", str(zoo.folder), *options]) == 2
    assert "has no cuts to calibrate" in capsys.readouterr().err
