"""The commands, as a person or a script calls them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import tomli_w
import torch

import exporters
from edge_runtime.models import Bundle
from edge_runtime.models.bundle import MANIFEST, toml_table
from exporters.bundle_files import stored_file
from exporters.cli import main

if TYPE_CHECKING:
    from exporters.networks.vit import VisionTransformer

VIT = ["--network", "vit", "--image-size", "32", "--width", "16", "--depth", "2", "--heads", "2", "--classes", "3"]


def test_onnx_is_written_and_compared(
    tmp_path: Path, tiny_vit: VisionTransformer, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command exports a network and reports its difference from PyTorch."""
    torch.save(tiny_vit.state_dict(), tmp_path / "weights.pt")
    out = tmp_path / "new" / "eye.onnx"
    options = [*VIT, "--weights", str(tmp_path / "weights.pt"), "--kind", "vit-attention", "--out", str(out)]
    assert main(["onnx", *options, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert out.stat().st_size == result["bytes"]
    assert result["checks"][0]["difference"]["attention"] < 1e-5
    assert result["failed"] == []


def test_bundle_is_split_and_inspected(tiny_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A device's half is cut from a bundle, and inspection says what is not there."""
    assert main(["bundle", str(tiny_bundle.folder), "--for", "device", "--out", str(tmp_path / "half")]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "half"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["hash"] == tiny_bundle.hash
    assert {row["here"] for row in result["files"] if row["file"].startswith("eye")} == {"yes"}
    assert {row["here"] for row in result["files"] if row["file"].startswith("brain")} == {"no"}


def test_a_policy_stays_with_the_device(
    tiny_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its half has the file, the server's has not; both have the old hash, are inspected and validate."""
    tuned = tmp_path / "tuned"
    shutil.copytree(tiny_bundle.folder, tuned)
    (tuned / "policy.onnx").write_bytes(b"learned")
    manifest = msgspec.structs.replace(tiny_bundle.manifest, policy=stored_file(tuned / "policy.onnx"))
    (tuned / MANIFEST).write_text(tomli_w.dumps(toml_table(manifest)))
    for half, here in (("device", "yes"), ("server", "no")):
        out = str(tmp_path / half)
        assert main(["bundle", str(tuned), "--for", half, "--out", out]) == 0
        assert main(["validate", out, "--count", "2"]) == 0
        capsys.readouterr()
        assert main(["inspect", out, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["hash"], found["policy"]) == (tiny_bundle.hash, "policy.onnx")
        assert [row["here"] for row in found["files"] if row["file"] == "policy.onnx"] == [here]


def test_bundle_is_validated_without_and_with_its_spec(
    tiny_bundle: Bundle, spec_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every claim is checked, against the most precise file or against PyTorch."""
    for extra in ([], ["--spec", str(spec_path)]):
        assert main(["validate", str(tiny_bundle.folder), "--count", "2", "--json", *extra]) == 0
        checks = json.loads(capsys.readouterr().out)["checks"]
        assert len(checks) == sum(len(f.runtimes) for model in tiny_bundle.manifest.models for f in model.files)


def test_wrong_weights_fail_validation(
    tiny_bundle: Bundle, spec_path: Path, tiny_vit: VisionTransformer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle that does not compute what the spec's weights say is exposed with status 2."""
    state = {key: value + 0.1 for key, value in tiny_vit.state_dict().items()}
    torch.save(state, spec_path.with_name("other.pt"))
    spec = spec_path.with_name("other.toml")
    spec.write_text(spec_path.read_text().replace("weights.pt", "other.pt"))
    assert main(["validate", str(tiny_bundle.folder), "--spec", str(spec), "--json"]) == 2
    assert "eye-fp16.onnx in onnxruntime" in json.loads(capsys.readouterr().out)["failed"]


@pytest.mark.parametrize("name", ["eye-fp16.onnx", "eye-int8.tflite"])
def test_file_is_inspected(tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Tensors and operators are listed as text."""
    assert main(["inspect", str(tiny_bundle.folder / name)]) == 0
    text = capsys.readouterr().out
    assert "1,3,32,32" in text.replace("-1,", "1,")
    assert "softmax" in text.lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "none.onnx"], "edge-export inspect: none.onnx: no such file or folder"),
        (["bundle", "none.toml", "--out", "out"], "edge-export bundle: none.toml: no such file"),
        (["validate", "none.toml"], "edge-export validate: none.toml: no such file"),
        (["onnx", *VIT, "--kind", "vit-tokens", "--out", "o.onnx"], "vit: has no weights of its own"),
    ],
)
def test_error_is_one_line_and_status_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing on standard output; standard error names command, thing and fix."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1


def test_splitting_and_inspecting_need_no_torch(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """A server's operator can split and look without the export libraries."""
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from exporters.cli import main\n"
        f"assert main(['bundle', {str(tiny_bundle.folder)!r}, '--for', 'server', '--out', 'half']) == 0\n"
        "assert main(['inspect', 'half']) == 0\n"
        "assert main(['train', 'edge-vit']) == 2\n"
    )
    paths = {**os.environ, "PYTHONPATH": str(Path(exporters.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=paths, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "pip install" in done.stderr
