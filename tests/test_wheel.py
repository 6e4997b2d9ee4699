"""The wheel: one file for every Python from 3.10 on, with the compiled kernels in it and without PyTorch beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tracked files, so that nothing left lying about gets in."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", str(source)], input=archive, check=True)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(source)]
    subprocess.run(build, check=True)
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_serves_every_python_from_3_10(wheel: Path) -> None:
    """Its tag names the stable ABI, not the Python that built it."""
    assert "cp310-abi3-" in wheel.name


@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_runs_the_system(wheel: Path, version: str, tmp_path: Path) -> None:
    """Installed alone with one model runtime, it answers a photo with a server of its own, with compiled kernels."""
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "--version"], capture_output=True).returncode != 0:
        pytest.skip(f"no Python {version} on this machine")
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    bin_folder = tmp_path / "venv" / "bin"
    subprocess.run([bin_folder / "pip", "install", "--quiet", f"{wheel}[onnxruntime]"], check=True)
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)).save(photo)

    def edge_runtime(*arguments: str) -> dict[str, object]:
        command = [bin_folder / "edge-runtime", *arguments, "--json"]
        run = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        found: dict[str, object] = json.loads(run.stdout)
        return found

    assert edge_runtime("kernels")["backend"] == "native"
    assert edge_runtime("run", str(photo), "--bundle", str(ROOT / "zoo"), "--eta", "0")["decided_by"] == "server"
    imports = subprocess.run([bin_folder / "python", "-c", "import torch"], capture_output=True)
    assert imports.returncode != 0
