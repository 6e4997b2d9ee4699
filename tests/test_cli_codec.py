"""``edge-runtime codec``: maps in .npy files to payloads and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.cli import main
from edge_runtime.models import Bundle


@pytest.fixture
def tables(split_bundle: Bundle) -> list[str]:
    """Options that name the tables of the cut ``late``, maps [3, 8, 8]."""
    return ["--bundle", str(split_bundle.folder), "--cut", "late"]


@pytest.fixture
def features() -> np.ndarray:
    """A smooth map like those of the tiny network."""
    slope = np.linspace(1, 3, 64, dtype=np.float32).reshape(8, 8)
    return np.ascontiguousarray(np.stack([slope, slope.T, slope[::-1]]))


@pytest.fixture
def stored(tmp_path: Path, features: np.ndarray) -> str:
    """The map in a file."""
    np.save(tmp_path / "map.npy", features)
    return str(tmp_path / "map.npy")


@pytest.mark.parametrize("size", [["--quality", "100"], ["--budget", "2000"], ["--quality", "80", "--bound", "0.01"]])
def test_there_and_back(
    size: list[str],
    tables: list[str],
    stored: str,
    features: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A map comes back nearly as it was, and each command says what it wrote."""
    payload, back = tmp_path / "map.ff", tmp_path / "back.npy"
    assert main(["codec", "encode", stored, str(payload), *tables, *size, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["payload_bytes"] == payload.stat().st_size
    assert main(["codec", "decode", str(payload), str(back), *tables]) == 0
    assert "float32 [3, 8, 8], values from" in capsys.readouterr().out
    assert np.load(back) == pytest.approx(features, abs=0.3)
    assert main(["codec", "inspect", str(payload), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("method", [["half"], ["uniform", "--bits", "10"], ["sparse", "--bits", "8"]])
def test_methods_without_tables(method: list[str], stored: str, features: np.ndarray, tmp_path: Path) -> None:
    """They need no bundle, and their decoder only the shape."""
    payload, back = tmp_path / "map.ff", tmp_path / "back.npy"
    assert main(["codec", "encode", stored, str(payload), "--method", *method]) == 0
    assert main(["codec", "decode", str(payload), str(back), "--shape", "3,8,8"]) == 0
    assert np.load(back) == pytest.approx(features, abs=0.3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--quality, --budget: method ff needs one of them"),
        (["--quality", "50", "--budget", "9"], "--quality, --budget: method ff needs one of them"),
        (["--quality", "50", "--bits", "9"], "--bits: 9 goes with --method uniform or sparse, not ff"),
        (["--budget", "50", "--bound", "0.1"], "--bound: 0.1 goes with --quality, not --budget"),
        (["--method", "half", "--bits", "9"], "--bits: means nothing to --method half"),
        (["--method", "uniform", "--quality", "9"], "--quality: means nothing to --method uniform"),
        (["--quality", "50", "--cut", "early"], "shape [3, 8, 8], the cut's is [3, 16, 16]"),
    ],
)
def test_options_that_do_not_fit(
    arguments: list[str], said: str, tables: list[str], stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names option, value and fix."""
    assert main(["codec", "encode", stored, str(tmp_path / "out"), *tables, *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 8, 8)), "is float64 [3, 8, 8], expected float32 [C, H, W]"),
        (np.zeros((8, 8), np.float32), "is float32 [8, 8], expected float32 [C, H, W]"),
        (np.array([object()]), "cannot be read as an array"),
    ],
)
def test_arrays_that_are_no_map(
    array: np.ndarray, said: str, tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dtype and shape are named; pickled objects are never loaded."""
    np.save(tmp_path / "map.npy", array)
    command = ["codec", "encode", str(tmp_path / "map.npy"), str(tmp_path / "out"), *tables, "--quality", "50"]
    assert main(command) == 2
    assert said in capsys.readouterr().err


def test_what_a_latent_says_of_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its coding, encoders and levels, without any tables."""
    (tmp_path / "latent").write_bytes(b"\x01\x01\x03\x06" + bytes(60))
    assert main(["codec", "inspect", str(tmp_path / "latent"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["coding"], found["encoders"], found["levels"], found["bytes"]) == ("rans", 3, 6, 64)


@pytest.mark.parametrize("data", [b"", b"no array", b"\x93NUMPY\x01\x00\xff\xff"])
def test_files_that_are_no_array(
    data: bytes, tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the reason."""
    (tmp_path / "map.npy").write_bytes(data)
    assert main(["codec", "encode", str(tmp_path / "map.npy"), "out", *tables, "--quality", "50"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "cannot be read as an array" in line


@pytest.mark.parametrize("data", [b"", b"no payload"])
def test_bytes_that_do_not_decode(
    data: bytes, tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The codec's own line, and exit code 2."""
    (tmp_path / "map.ff").write_bytes(data)
    assert main(["codec", "decode", str(tmp_path / "map.ff"), str(tmp_path / "back.npy"), *tables]) == 2
    assert "features: " in capsys.readouterr().err
    assert not (tmp_path / "back.npy").exists()


def test_a_shape_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three positive numbers make a shape."""
    (tmp_path / "map.ff").write_bytes(b"x")
    assert main(["codec", "decode", str(tmp_path / "map.ff"), "back.npy", "--shape", "3,0,8"]) == 2
    assert "--shape: '3,0,8' is not C,H,W, write it like 64,56,56" in capsys.readouterr().err
