"""Whether the package index has wheels of all that a board needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
# Their Python, and the minor version of their glibc 2.
BOARDS = {"Raspberry Pi OS 13": ("3.13", 41), "Raspberry Pi OS 12": ("3.11", 36), "JetPack 6": ("3.10", 35)}


def resolved(python: str, glibc: int, requirements: list[str]) -> dict[str, str]:
    """Wheels, by version, that pip would install on an aarch64 board; CalledProcessError where one is missing."""
    tags = [f"manylinux_2_{minor}_aarch64" for minor in range(17, glibc + 1)] + ["manylinux2014_aarch64"]
    where = [option for tag in tags for option in ("--platform", tag)]
    abis = [option for abi in (f"cp{python.replace('.', '')}", "abi3", "none") for option in ("--abi", abi)]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--report", "-"]
    command += ["--target", "nowhere", "--only-binary=:all:", "--python-version", python, *abis, *where, *requirements]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {one["metadata"]["name"]: one["metadata"]["version"] for one in json.loads(report)["install"]}


@pytest.mark.long
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("extra", ["onnxruntime", "litert", "numba", "report"])
def test_nothing_is_compiled_on_a_board(board: str, extra: str) -> None:
    """The device's packages and each of its extras have wheels for aarch64."""
    requirements = PROJECT["dependencies"] + PROJECT["optional-dependencies"][extra]

    assert {"numpy", "cffi", "grpcio", "msgspec", "pillow"} <= resolved(*BOARDS[board], requirements).keys()


@pytest.mark.long
def test_the_legacy_interpreter_ends_before_python_3_13() -> None:
    """docs/devices.md offers tflite-runtime on Raspberry Pi OS 12 and not on 13."""
    assert "tflite-runtime" in resolved(*BOARDS["Raspberry Pi OS 12"], ["tflite-runtime==2.14.0"])
    with pytest.raises(subprocess.CalledProcessError):
        resolved(*BOARDS["Raspberry Pi OS 13"], ["tflite-runtime==2.14.0"])
