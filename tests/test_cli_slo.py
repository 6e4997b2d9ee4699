"""``edge-runtime slo`` on a tiny bundle calibrated for two rounds."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
import tomli_w

from edge_runtime.cli import main
from edge_runtime.control.rounds import Bytes, RoundTables, ServerTimes, Setting, Temperatures
from edge_runtime.models import Bundle
from edge_runtime.models.bundle import StoredFile, manifest_hash, toml_table

TABLES = RoundTables(
    photos=100,
    settings=(Setting("webp", 20), Setting("jpeg", 50)),
    first=(4, 8, 16),
    second=(0, 4),
    below=(0.0, 0.5, 0.9),
    temperatures=Temperatures((4, 16), (1.2, 1.0)),
    accuracy=tuple(
        tuple(
            tuple(tuple(value + gain for gain in (0.0, 0.03, 0.05)) if more else (value,) * 3 for more in (0, 1))
            if first < 16
            else ((value,) * 3, (None,) * 3)
            for first, value in ((4, 0.8), (8, 0.9), (16, 0.94 + extra))
        )
        for extra in (0.0, 0.02)
    ),
    asked=(((0.0, 0.2, 0.5),) * 3,) * 2,
    first_bytes=tuple(tuple(Bytes(size * count, 1.5 * size * count) for count in (4, 8, 16)) for size in (100, 400)),
    second_bytes=tuple(tuple(Bytes(size * count, 1.5 * size * count) for count in (0, 4)) for size in (100, 400)),
    server_ms=ServerTimes(first=(10, 10, 10), update=(0, 4), full=(10, 10, 10)),
)


@pytest.fixture(scope="module")
def calibrated(rounds_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle of two rounds, with tables."""
    folder = tmp_path_factory.mktemp("calibrated") / "bundle"
    shutil.copytree(rounds_bundle.folder, folder)
    data = TABLES.dump()
    (folder / "rounds.json").write_bytes(data)
    manifest, replace = rounds_bundle.manifest, msgspec.structs.replace
    assert manifest.rounds is not None
    tables = StoredFile("rounds.json", sha256(data).hexdigest(), len(data))
    manifest = replace(manifest, rounds=replace(manifest.rounds, tables=tables))
    manifest = replace(manifest, hash=manifest_hash(manifest))
    (folder / "bundle.toml").write_text(tomli_w.dumps(toml_table(manifest)))
    return folder


def slo(bundle: Path, *options: str) -> int:
    """The exit code of the command over 5 Mbit/s, 20 ms."""
    return main(["slo", "--bundle", str(bundle), "--bandwidth", "5mbit/20ms", *options])


def test_slo_says_the_plan(calibrated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line: mode, codec, patches, and when more are asked for."""
    assert slo(calibrated, "--deadline", "80ms", "--wanted", "0.92") == 0
    assert capsys.readouterr().out == "two-round webp q20, 8 patches, then 4 if less sure than 0.5\n"


def test_slo_explains_the_plan(calibrated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is in time by mode, what binds, where the time goes, and the next best plans."""
    assert slo(calibrated, "--deadline", "80", "--wanted", "0.92", "--explain") == 0
    out = capsys.readouterr().out
    assert "round 1, ms: link 22.4, server 10.0, margin 5.0" in out
    assert "round 2, ms: link 21.5, server 4.0, margin 5.0" in out
    assert "in time: 8 of 8 two-round, 6 of 6 single-round plans" in out
    assert "what binds: accuracy" in out
    assert "next best: single-round webp q20, 16 patches: accuracy 94.0%" in out


@pytest.mark.parametrize(
    ("options", "mode", "binds"),
    [
        (["--deadline", "200"], "single-round", "nothing"),
        (["--deadline", "45", "--wanted", "0.92"], "single-round", "deadline"),
        (["--deadline", "34"], "best-effort", "deadline"),
        (["--deadline", "200", "--price", "1"], "two-round", "bytes"),
        (["--deadline", "60", "--queue", "10"], "single-round", "deadline"),
    ],
)
def test_slo_says_what_binds(
    calibrated: Path, capsys: pytest.CaptureFixture[str], options: list[str], mode: str, binds: str
) -> None:
    """The deadline, the wanted accuracy, the price of bytes, or nothing; as JSON, with times that add up."""
    assert slo(calibrated, *options, "--explain", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["chosen"]["mode"], found["binds"]) == (mode, binds)
    taken_ms = sum(sum(one.values()) for one in found["times_ms"])
    assert taken_ms == pytest.approx(1e3 * (found["chosen"]["first_s"] + found["chosen"]["second_s"]), abs=0.01)
    assert slo(calibrated, *options, "--json") == 0
    assert json.loads(capsys.readouterr().out) == found["chosen"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--deadline", "12ms"], "deadline: 12 ms left, the smallest first round needs 31 ms; allow more"),
        (["--deadline", "80", "--wanted", "97"], "--wanted: 97.0 is not an accuracy within 0..1"),
        (["--deadline", "80", "--price", "-1"], "--price: -1.0 is below 0"),
    ],
)
def test_slo_refuses_in_one_line(
    calibrated: Path, capsys: pytest.CaptureFixture[str], options: list[str], error: str
) -> None:
    """The thing, its value, and what to do."""
    assert slo(calibrated, *options) == 2
    assert capsys.readouterr().err == f"edge-runtime: {error}\n"


def test_slo_needs_a_number_of_milliseconds(calibrated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As argparse says it."""
    with pytest.raises(SystemExit):
        slo(calibrated, "--deadline", "soon")
    assert "'soon' is no number of milliseconds" in capsys.readouterr().err


def test_slo_needs_a_calibrated_bundle(rounds_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """One without tables is named."""
    assert slo(rounds_bundle.folder, "--deadline", "80") == 2
    assert "was not calibrated for two rounds" in capsys.readouterr().err
