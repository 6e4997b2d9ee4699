"""The command line, with the zoo and a server of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tomli_w
from PIL import Image

from edge_runtime.cli import main
from edge_runtime.models import Bundle
from edge_runtime.models.bundle import toml_table

ROOT = Path(__file__).parents[1]
ZOO = str(ROOT / "zoo")

JSON_KEYS = {
    "photos",
    "accuracy",
    "server_accuracy",
    "edge_accuracy",
    "share_local",
    "patches_per_sent_photo",
    "cost",
    "payload_bytes",
    "wire_bytes",
    "jpeg_wire_bytes",
    "latency_ms",
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, zoo: Bundle) -> Path:
    """Four smooth synthetic photos in two class folders; nobody could classify them, which is fine here."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(4):
        path = folder / zoo.classes[number % 2] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
        coarse.resize((320, 240), Image.Resampling.BICUBIC).save(path)
    return folder


@pytest.fixture
def one(photos: Path) -> str:
    """One of them."""
    return str(next(photos.rglob("*.jpg")))


def test_run_says_who_decided_and_what_it_cost(one: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A gate that is never sure sends patches; the picture shows photo, attention and patches side by side."""
    picture = tmp_path / "out.png"
    assert main(["run", one, "--bundle", ZOO, "--eta", "0", "--json", "--picture", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["decided_by"] == "server"
    assert found["patches_sent"] > 0
    assert found["payload_bytes"] > 0
    with Image.open(picture) as drawn:
        assert drawn.size == (224 * 3 + 16, 224)


def test_run_prints_one_line_a_photo(one: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json the same facts are one line for people."""
    assert main(["run", one, one, "--bundle", ZOO, "--eta", "99"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("decided by edge" in line for line in lines)


def test_run_answers_alone_when_nobody_is_at_the_other_end(one: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that is not there costs no answer; the line says what happened."""
    assert main(["run", one, "--bundle", ZOO, "--eta", "0", "--server", "127.0.0.1:9", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["decided_by"] == "edge-fallback"
    assert "UNAVAILABLE" in found["note"]


def test_evaluate_reports_the_documented_keys(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The keys are an interface: dashboards and scripts read them."""
    assert main(["evaluate", "--data", str(photos), "--bundle", ZOO, "--eta", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= JSON_KEYS
    assert (found["photos"], found["share_local"]) == (4, 0.0)
    assert found["wire_bytes"] > found["payload_bytes"] > 0
    assert found["jpeg_wire_bytes"] > found["wire_bytes"]
    rivals = {(point["sending"], point["uncertainty"]) for point in found["rivals"]}
    assert {("jpeg q75", ""), ("jpeg q75", "min-entropy"), ("webp q5", ""), ("webp q5", "min-entropy")} <= rivals


def test_evaluate_prints_a_table_for_people(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every documented figure is in the text as well."""
    assert main(["evaluate", "--data", str(photos), "--bundle", ZOO, "--limit", "2", "--link", "50mbit/2ms"]) == 0
    out = capsys.readouterr().out
    assert "accuracy" in out
    assert "95 % interval" in out
    assert "rivals" in out


def test_sweep_writes_points_and_a_picture(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One CSV line per point, a picture, and rollout when the model reports every layer."""
    command = ["evaluate", "--data", str(photos), "--bundle", ZOO, "--limit", "2", "--sweep", str(tmp_path), "--json"]
    assert main([*command, "--edge-model", "edge-vit-layers"]) == 0
    found = json.loads(capsys.readouterr().out)
    lines = (tmp_path / "sweep.csv").read_text().splitlines()
    assert 1 + len(found["points"]) == len(lines)
    assert any(point["sending"].startswith("rollout sum") for point in found["points"])
    with Image.open(tmp_path / "sweep.png") as drawn:
        assert drawn.width > 500


def test_demo_writes_a_page_for_the_photos_it_is_given(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page holds a picture per photo and the agreement with the server."""
    folder = next(path for path in photos.iterdir() if path.is_dir())
    page = tmp_path / "demo.html"
    assert main(["demo", "--images", str(folder), "--bundle", ZOO, "--out", str(page)]) == 0
    assert "agree with the server's answer to the whole photo" in capsys.readouterr().out
    assert page.read_text().count("data:image/png;base64,") == 2


def test_demo_without_photos_takes_scikit_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The photographs that come with scikit-image need no download."""
    assert main(["demo", "--bundle", ZOO, "--out", str(tmp_path / "demo.html"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answers"][0]["photo"] == "astronaut.png"


def test_a_reader_that_has_seen_enough_gets_no_traceback() -> None:
    """Standard output closed by the other end, as `| head` does, ends a command in silence."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "edge_runtime", "kernels"], stdout=writer, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (0, b"")


def test_kernels_names_the_backend_and_each_variant(capsys: pytest.CaptureFixture[str]) -> None:
    """The choice made at load is visible."""
    assert main(["kernels", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["backend"] in ("native", "jit", "reference")
    assert "gate" in found["functions"]
    assert main(["kernels"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "photo.jpg", "--bundle", "nowhere"], "nowhere/bundle.toml: no such file"),
        (["run", "photo.jpg", "--bundle", ZOO], "photo.jpg: cannot be read"),
        (["run", "a.jpg", "b.jpg", "--bundle", ZOO, "--picture", "x.png"], "--picture: draws one photo"),
        (["run", "a.jpg", "--bundle", ZOO, "--quality", "0"], "gate: Expected `int` >= 1"),
        (["run", "a.jpg", "--bundle", ZOO, "--tls-ca", "ca.pem"], "go with --server, which was not given"),
        (["run", "a.jpg", "--bundle", ZOO, "--link", "fast"], "link: 'fast' is not RATE/RTT"),
        (["run", "a.jpg", "--bundle", ZOO, "--edge-model", "big"], "no edge model named 'big'; it has edge-vit"),
        (["evaluate", "--data", "nowhere.tar", "--bundle", ZOO], "nowhere.tar: cannot be read"),
        (["demo", "--images", str(ROOT / "docs"), "--bundle", ZOO], "no photo there"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one line on stderr, no traceback."""
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_a_bundle_without_a_gate_needs_one(
    one: str, tmp_path: Path, zoo: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the options that make one."""
    manifest = msgspec.structs.replace(zoo.manifest, gate=None)
    shutil.copytree(zoo.folder, tmp_path / "bundle")
    (tmp_path / "bundle" / "bundle.toml").write_text(tomli_w.dumps(toml_table(manifest)))
    assert main(["run", one, "--bundle", str(tmp_path / "bundle"), "--eta", "0.2"]) == 2
    assert "has no gate; give eta and delta\n" in capsys.readouterr().err
