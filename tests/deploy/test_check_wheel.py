"""What a wheel for a board must be."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "deploy" / "check_wheel.py"
GOOD = "edge_runtime-0.1.0-cp310-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64.whl"
FILES = ("edge_runtime/kernels/_native.abi3.so", "server_ref/cli.py", "edge_runtime-0.1.0.dist-info/METADATA")


def judge(folder: Path, name: str, files: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """What the program says of a wheel for aarch64 with these files."""
    with zipfile.ZipFile(folder / name, "w") as archive:
        for file in files:
            archive.writestr(file, "")
    command = [sys.executable, PROGRAM, "aarch64", folder / name]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_right_tag_and_files_pass(tmp_path: Path) -> None:
    """Nothing is said."""
    done = judge(tmp_path, GOOD, FILES)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "files", "fault"),
    [
        (GOOD.replace("cp310-abi3", "cp311-cp311"), FILES, "is not for cp310-abi3"),
        (GOOD.replace("aarch64", "x86_64"), FILES, "has no manylinux tag for aarch64"),
        ("edge_runtime-0.1.0-cp310-abi3-linux_aarch64.whl", FILES, "has no manylinux tag for aarch64"),
        ("edge_runtime-0.1.0-cp310-abi3-manylinux_2_34_aarch64.whl", FILES, "asks for glibc 2.34, at most 2.28"),
        (GOOD, (*FILES, "tests/test_photos.py"), "holds tests, which no device needs"),
        (GOOD, FILES[1:], "lacks edge_runtime/kernels/_native.abi3.so"),
    ],
)
def test_a_fault_fails_and_is_named(tmp_path: Path, name: str, files: tuple[str, ...], fault: str) -> None:
    """In one line."""
    done = judge(tmp_path, name, files)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert fault in done.stderr
