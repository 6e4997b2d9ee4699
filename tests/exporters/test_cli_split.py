"""`edge-export split`, as a person calls it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import onnx
import pytest
from PIL import Image

from edge_runtime.models import Bundle
from exporters.cli import main
from exporters.validate_samples import synthetic_photos
from tests.exporters.split.conftest import residual_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def network(tmp_path: Path) -> str:
    """The residual network's file."""
    onnx.save(residual_model(), tmp_path / "residual.onnx")
    return str(tmp_path / "residual.onnx")


def test_cuts_are_listed_with_what_they_cost(network: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is worth a choice, or everything; each recomposed."""
    assert main(["split", network, "--list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["cut"] for row in found["cuts"]] == ["relu2", "conv5", "globalaveragepool6"]
    assert found["later_and_no_smaller"] == 4
    assert found["worst_difference"] < 1e-6
    assert main(["split", network, "--list", "--all"]) == 0
    text = capsys.readouterr().out
    assert "sum_relu" in text
    assert "8,8,8" in text


def test_halves_are_written_with_their_tables(network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a file and a folder of photos to a bundle that loads; what it holds is reported."""
    for number, photo in enumerate(synthetic_photos(16, 20)):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(path)
    options = ["--photos", str(tmp_path / "photos"), "--classes", "cat", "dog", "bird", "--patch", "8"]
    out = tmp_path / "bundle"
    assert main(["split", network, "--at", "conv5", "--at", "stem_relu", "--out", str(out), *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["result"] for row in found["checks"]} == {"ok"}
    bundle = Bundle.load(out)
    assert (found["hash"], found["left_out"]) == (bundle.hash, [])
    assert [split.cut for split in bundle.manifest.splits] == ["conv5", "relu2"]
    assert bundle.classes == ("cat", "dog", "bird")
    assert len({bundle.read(split.tables) for split in bundle.manifest.splits}) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.onnx", "--list"], "none.onnx: not an ONNX file"),
        (["resnet", "--list"], "resnet: has no weights of its own"),
        (["mine.onnx", "--list", "--weights", "w.pt"], "--weights w.pt: mine.onnx has weights of its own"),
        (["mine.onnx", "--at", "relu2", "--out", "bundle"], "--at: needs --out, the folder to write, and --photos"),
        (["efficientnet-lite7", "--list"], "the package index has efficientnet-lite0, 1 and 2"),
    ],
)
def test_error_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, the thing and the fix."""
    assert main(["split", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
