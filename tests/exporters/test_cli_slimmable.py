"""`edge-export slimmable` goes from trained folders to a bundle that both sides run."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.control.modes import ModeTable
from edge_runtime.models import Bundle
from exporters.bundle_folder import split_bundle
from exporters.cli import main
from exporters.imagenette import IMAGENETTE
from exporters.networks.channel_slimmable import SlimEncoder
from exporters.networks.ensemble import CHANNELS, EnsembleEncoder
from exporters.networks.latent import LEVELS, SlimmableNetwork
from exporters.validate_bundle import validate_bundle

if TYPE_CHECKING:
    from pathlib import Path

PACKED = {levels: 8 + CHANNELS * 28 * 28 * (levels - 1).bit_length() // 8 for levels in LEVELS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random encoders of both families in ``ensemble`` and ``widths``, and thirteen ``photos``."""
    folder = tmp_path_factory.mktemp("slimmable")
    torch.manual_seed(0)
    for name, encoder in (("ensemble", EnsembleEncoder()), ("widths", SlimEncoder())):
        (folder / name).mkdir()
        torch.save(SlimmableNetwork(encoder, CHANNELS).state_dict(), folder / name / "model.pt")
    rng = np.random.default_rng(0)
    for number in range(13):
        path = folder / "photos" / IMAGENETTE[number // 7].wnid / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    """What the command says of a bundle ``out`` of the ensemble alone."""
    return _export(folder, "--ensemble", str(folder / "ensemble"), "--files", "onnx-fp16", "--name", "mine")


def test_bundle_has_all_that_a_device_needs(folder: Path, report: dict[str, Any]) -> None:
    """Encoders in their order, tables and modes; the whole network is there for both sides, and stored once."""
    bundle = Bundle.load(folder / "out")
    assert (bundle.manifest.name, bundle.hash) == ("mine", report["hash"])
    (latent,) = bundle.manifest.latents
    assert latent.encoders == tuple(f"ensemble.{number}" for number in (1, 2, 3, 4))
    assert latent.sums
    assert LatentCodec.load(bundle.read(latent.tables)).shape == (CHANNELS, 28, 28)
    whole = [bundle.model(role) for role in ("edge", "server")]
    assert whole[0].files == whole[1].files
    decoder = bundle.model("server", latent.decoder)
    assert whole[1].files[0].weights == decoder.files[0].weights
    assert report["left_out"] == []


def test_modes_are_measured_on_photos_that_were_held_out(folder: Path, report: dict[str, Any]) -> None:
    """Each number of encoders at each number of levels, on every twelfth photo; no payload is larger than packed."""
    bundle = Bundle.load(folder / "out")
    table = ModeTable.load(bundle.read(bundle.latent().modes))
    assert table.photos == 2
    assert {one.mode for one in table.modes} == {(number, levels) for number in (1, 2, 3, 4) for levels in LEVELS}
    assert all(8 < one.bytes.mean <= one.bytes.most <= PACKED[one.levels] for one in table.modes)
    assert report["teacher_accuracy"] == table.teacher_accuracy
    assert [(row["encoders"], row["levels"], row["accuracy"], row["bytes"]) for row in report["modes"]] == [
        (one.encoders, one.levels, one.accuracy, one.bytes.mean) for one in table.modes
    ]


@pytest.mark.parametrize("half", ["both", "server"])
def test_bundle_is_checked_later(folder: Path, report: dict[str, Any], tmp_path: Path, half: str) -> None:
    """As a whole, and the server's half without encoders."""
    assert report["half"] == "both"
    split_bundle(folder / "out", tmp_path, half)  # type: ignore[arg-type]
    checks, missing = validate_bundle(tmp_path, None, None, count=2)
    assert {check.file for check in checks} >= {"lite0-fp16.onnx", "ensemble.decoder-fp16.onnx"}
    assert all(check.passed for check in checks)
    assert missing == []


@pytest.mark.long
def test_families_come_in_their_order_in_every_format(folder: Path) -> None:
    """The ensemble first, and every file passes in every runtime."""
    report = _export(folder, "--widths", str(folder / "widths"), "--ensemble", str(folder / "ensemble"))
    bundle = Bundle.load(folder / "out")
    assert [(latent.name, latent.sums) for latent in bundle.manifest.latents] == [("ensemble", True), ("widths", False)]
    assert {check["result"] for check in report["checks"]} == {"ok"}
    assert len(bundle.model("edge", "widths.3").files) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no encoders to export; give --ensemble, --widths or both"),
        (["--ensemble", "nowhere"], "nowhere/model.pt: no such file; train it with `edge-export train`"),
        (["--ensemble", "e", "--files", "tflite-fp16"], "modes are measured with an ONNX file; add onnx-fp16"),
        (["--ensemble", "e", "--count", "0"], "--count 0: is less than 1"),
        (["--ensemble", "e", "--name", "a/b"], "--name a/b: letters"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(
    tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is computed."""
    assert main(["slimmable", "--photos", str(tmp_path), "--out", str(tmp_path / "out"), *options]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1


def test_photos_of_another_world_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their folder is no class of the network."""
    (tmp_path / "cats").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "cats" / "one.png")
    options = ["--photos", str(tmp_path), "--out", str(tmp_path / "out"), "--ensemble", str(folder / "ensemble")]
    assert main(["slimmable", *options]) == 2
    assert "folder 'cats' is no class of this bundle" in capsys.readouterr().err


def _export(folder: Path, *options: str) -> dict[str, Any]:
    printed = StringIO()
    with redirect_stdout(printed):
        common = ["--photos", str(folder / "photos"), "--out", str(folder / "out"), "--json"]
        assert main(["slimmable", *common, *options]) == 0
    result: dict[str, Any] = json.loads(printed.getvalue())
    return result
