"""The benchmark of the feature coder's stages."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-ffp-contract=off", f"-I{ROOT / 'csrc'}"]


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
def test_it_builds_without_warnings(tmp_path):
    """With the stages as they are now, in no part of the extension."""
    folders = ("", "x86/", "arm/", "bench/")
    sources = [str(path) for folder in folders for path in (ROOT / "csrc").glob(f"{folder}*.c")]

    subprocess.run(["gcc", *FLAGS, *sources, "-lm", "-o", str(tmp_path / "bench")], check=True)

    assert "bench" not in (ROOT / "csrc" / "build_kernels.py").read_text()
