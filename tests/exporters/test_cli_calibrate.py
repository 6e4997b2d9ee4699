"""`edge-export calibrate` measures on photos what a bundle decides by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edge_runtime.codecs.feature_tables import Tables
from edge_runtime.control.rounds import RoundTables, Setting
from edge_runtime.models import Bundle
from exporters.cli import main
from server_ref.backend import Backend

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


def test_rounds_get_tables(
    rounds_bundle: Bundle, colour_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was asked for is measured, server and device can read it, and the report is printed and written alike."""
    out, report_path = tmp_path / "out", tmp_path / "report.json"
    options = ["--photos", str(colour_photos), "--out", str(out), "--json", "--report", str(report_path)]
    options += ["--every", "4", "--limit", "6", "--processes", "1"]
    options += ["--settings", "webp:20", "raw:100", "--first", "5", "--second", "3", "--below", "0.5", "1"]
    assert main(["calibrate", str(rounds_bundle.folder), *options]) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads(report_path.read_text()) == report
    found = Bundle.load(out)
    assert found.hash == report["hash"] != rounds_bundle.hash
    assert found.manifest.models == rounds_bundle.manifest.models
    assert found.manifest.rounds is not None
    assert found.manifest.rounds.tables is not None
    tables = RoundTables.load(found.read(found.manifest.rounds.tables))
    assert tables.photos == report["photos"] == 6
    assert tables.settings == (Setting("webp", 20), Setting("raw", 100))
    assert (tables.first, tables.second, tables.below) == ((5,), (0, 3), (0.5, 1.0))
    assert report["temperatures"].keys() == {"5", "8"}
    assert Backend.open(found).description.bundle_hash == report["hash"]


def test_rounds_are_calibrated_again(rounds_bundle: Bundle, colour_photos: Path, tmp_path: Path) -> None:
    """In place; temperatures are of what the models say, not of what older tables made of it."""
    options = ["--photos", str(colour_photos), "--out", str(tmp_path), "--limit", "3", "--processes", "1"]
    options += ["--settings", "raw:100", "--first", "5", "--second", "3"]
    found = []
    for source in (rounds_bundle.folder, tmp_path):
        assert main(["calibrate", str(source), *options]) == 0
        found.append(RoundTables.load((tmp_path / "rounds.json").read_bytes()))
    assert found[0].temperatures == found[1].temperatures
    assert found[0].accuracy == found[1].accuracy
    models = {path.name for path in rounds_bundle.folder.iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == models | {"rounds.json"}


@pytest.mark.parametrize("setting", ["webp", "webp:", "webp:0", "gif:20"])
def test_settings_that_are_none(
    rounds_bundle: Bundle, tmp_path: Path, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are refused by name."""
    options = ["--photos", str(tmp_path), "--out", str(tmp_path), "--settings", setting]
    with pytest.raises(SystemExit):
        main(["calibrate", str(rounds_bundle.folder), *options])
    assert f"{setting!r} is no codec and quality, write it like webp:35" in capsys.readouterr().err


def test_bundles_without_cuts_are_refused(
    zoo: Bundle, bright_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line."""
    options = ["--photos", str(bright_photos), "--out", str(tmp_path / "out")]
    assert main(["calibrate", str(zoo.folder), *options]) == 2
    assert "has no cuts to calibrate" in capsys.readouterr().err
