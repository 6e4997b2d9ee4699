"""``edge-runtime evaluate --system split`` with a tiny cut network and a server of its own."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from edge_runtime.cli import main
from edge_runtime.models import Bundle

ROOT = Path(__file__).parents[1]
RIVALS = 6 + 6


@pytest.fixture
def evaluate(split_bundle: Bundle, colour_photos: Path) -> list[str]:
    """The command line up to what rules the size, for two photos of each colour."""
    command = ["evaluate", "--system", "split", "--bundle", str(split_bundle.folder), "--data", str(colour_photos)]
    return [*command, "--limit", "6"]


def test_every_cut_beside_its_rivals(evaluate: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lossless photos, both cuts, their uncompressed maps, JPEG and WebP; each with its figures, and a picture."""
    picture = tmp_path / "stages.png"
    assert main([*evaluate, "--quality", "90", "--json", "--picture", str(picture)]) == 0
    outcomes = json.loads(capsys.readouterr().out)["outcomes"]
    names = [outcome["name"] for outcome in outcomes]
    assert names[:5] == ["net png", "net.early ff q90", "net.late ff q90", "net.early float16", "net.late float16"]
    assert len(names) == 5 + RIVALS
    for outcome in outcomes[:5]:
        assert (outcome["photos"], outcome["accuracy"], outcome["loss"], outcome["unanswered"]) == (6, 1.0, 0.0, 0)
        assert outcome["wire_bytes"] > outcome["payload_bytes"] > 0
        assert {"total", "device", "link", "server", "server_queue"} <= outcome["latency_ms"].keys()
    assert {"prefix", "encode"} <= outcomes[1]["latency_ms"].keys()
    with Image.open(picture) as drawn:
        assert drawn.width > 500


def test_a_table_for_people(evaluate: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line per way, the cut asked for alone."""
    assert main([*evaluate, "--cut", "late", "--budget", "200", "--limit", "3"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("3 photos")
    assert "net.late ff 200 bytes" in out
    assert "net.early" not in out


def test_a_deadline_and_a_bandwidth_make_a_budget(evaluate: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The way is called in time, and what comes late is counted."""
    command = [*evaluate, "--cut", "late", "--bandwidth", "5mbit/2ms", "--deadline", "5000", "--limit", "3", "--json"]
    assert main(command) == 0
    outcome = json.loads(capsys.readouterr().out)["outcomes"][1]
    assert (outcome["name"], outcome["unanswered"]) == ("net.late ff in time", 0)


def test_answers_that_come_too_late_are_wrong(evaluate: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With no time at all no cut and no rival answers; what losses refer to is given all the time it needs."""
    assert main([*evaluate, "--cut", "late", "--quality", "90", "--deadline", "1", "--limit", "2"]) == 0
    _, _, lossless, *others = capsys.readouterr().out.splitlines()
    assert "100.0%" in lossless
    assert all("no photo was answered in time" in line and "+100.0%" in line for line in others)


def test_a_sweep_writes_points_and_a_picture(
    evaluate: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every quality of a cut, with the rivals, as CSV lines and lines in a picture."""
    out = tmp_path / "sweep"
    assert main([*evaluate, "--cut", "early", "--sweep", str(out), "--limit", "3"]) == 0
    with (out / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1 + 10 + 1 + RIVALS
    assert {"name", "low", "high", "wire_bytes", "total_p95_ms"} <= rows[0].keys()
    sizes = [float(row["payload_bytes"]) for row in rows if row["codec"] == "ff"]
    assert sizes[0] <= sizes[-1]
    with Image.open(out / "sweep.png") as drawn:
        assert drawn.width > 500
    assert "net.early ff q50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--quality, --budget, --bandwidth: 0 of them given, give one, or --sweep"),
        (["--quality", "50", "--budget", "9"], "--quality, --budget, --bandwidth: 2 of them given"),
        (["--quality", "101"], "quality"),
        (["--bandwidth", "5mbit"], "--bandwidth: 5mbit makes a budget of a deadline only, give --deadline"),
        (["--bandwidth", "fast", "--deadline", "50"], "'fast/0ms' is not RATE/RTT"),
        (["--sweep", "out", "--quality", "50"], "--quality: --sweep tries every quality"),
        (["--sweep", "out", "--picture", "a.png"], "--picture: --sweep tries every quality and draws its own picture"),
        (["--quality", "50", "--picture", "nowhere/a.png"], "--picture: nowhere is no folder, make it first"),
        (["--budget", "0"], "budget: 0 bytes hold no map, give 1 or more"),
        (["--quality", "50", "--limit", "0"], "limit: 0 is less than 1"),
        (["--quality", "50", "--cut", "middle"], "no cut named 'middle'; it has early, late"),
        (["--quality", "50", "--eta", "1"], "--eta: goes with --system attention, not split"),
        (["--quality", "50", "--most-cost", "0"], "--most-cost: goes with --system attention, not split"),
        (["--quality", "50", "--server-model", "net"], "--server-model: goes with --system attention, not split"),
        (["--system", "attention", "--budget", "50"], "--budget: goes with --system split, not attention"),
        (["--system", "attention", "--cut", "late"], "--cut: goes with --system split, not attention"),
        (["--quality", "50", "--server", "127.0.0.1:9"], "127.0.0.1"),
    ],
)
def test_an_error_is_one_line(
    evaluate: list[str], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What does not apply or does not fit is refused, not passed over."""
    assert main([*evaluate, *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


def test_a_bundle_without_cuts(colour_photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says how to make one."""
    assert main(
        ["evaluate", "--system", "split", "--bundle", str(ROOT / "zoo"), "--data", str(colour_photos), "--quality", "5"]
    )
    assert "its networks are not cut; cut one with `edge-export split`" in capsys.readouterr().err
