"""``edge-runtime slo`` on a tiny bundle calibrated for two rounds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_runtime.cli import main
from edge_runtime.models import Bundle


def slo(bundle: Path, *options: str) -> int:
    """The exit code of the command over 5 Mbit/s, 20 ms."""
    return main(["slo", "--bundle", str(bundle), "--bandwidth", "5mbit/20ms", *options])


def test_slo_says_the_plan(calibrated_rounds: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """One line: mode, codec, patches, and when more are asked for."""
    assert slo(calibrated_rounds.folder, "--deadline", "80ms", "--wanted", "0.92") == 0
    assert capsys.readouterr().out == "two-round webp q20, 8 patches, then 4 if less sure than 0.5\n"


def test_slo_explains_the_plan(calibrated_rounds: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """What is in time by mode, what binds, where the time goes, and the next best plans."""
    assert slo(calibrated_rounds.folder, "--deadline", "80", "--wanted", "0.92", "--explain") == 0
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
    calibrated_rounds: Bundle, capsys: pytest.CaptureFixture[str], options: list[str], mode: str, binds: str
) -> None:
    """The deadline, the wanted accuracy, the price of bytes, or nothing; as JSON, with times that add up."""
    assert slo(calibrated_rounds.folder, *options, "--explain", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["chosen"]["mode"], found["binds"]) == (mode, binds)
    taken_ms = sum(sum(one.values()) for one in found["times_ms"])
    assert taken_ms == pytest.approx(1e3 * (found["chosen"]["first_s"] + found["chosen"]["second_s"]), abs=0.01)
    assert slo(calibrated_rounds.folder, *options, "--json") == 0
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
    calibrated_rounds: Bundle, capsys: pytest.CaptureFixture[str], options: list[str], error: str
) -> None:
    """The thing, its value, and what to do."""
    assert slo(calibrated_rounds.folder, *options) == 2
    assert capsys.readouterr().err == f"edge-runtime: {error}\n"


def test_slo_needs_a_number_of_milliseconds(calibrated_rounds: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """As argparse says it."""
    with pytest.raises(SystemExit):
        slo(calibrated_rounds.folder, "--deadline", "soon")
    assert "'soon' is no number of milliseconds" in capsys.readouterr().err


def test_slo_needs_a_calibrated_bundle(rounds_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """One without tables is named."""
    assert slo(rounds_bundle.folder, "--deadline", "80") == 2
    assert "was not calibrated for two rounds" in capsys.readouterr().err
