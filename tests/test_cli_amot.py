"""``edge-runtime evaluate`` and ``run`` with ``--system amot``, tiny models and servers of their own."""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from edge_runtime.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.models import Bundle

KEYS = {
    *("system", "photos", "accuracy", "accuracy_interval", "server_accuracy", "patches_share", "second_round_share"),
    *("best_effort_share", "slo_hit", "rejected", "unanswered", "payload_bytes", "wire_bytes", "latency_ms"),
}
POINT_KEYS = {
    *("curve", "setting", "photos", "accuracy", "low", "high", "payload_bytes", "wire_bytes"),
    *("patches_share", "second_round_share"),
}


@pytest.fixture
def evaluate(calibrated_rounds: Bundle, colour_photos: Path) -> list[str]:
    """The command line for one photo of each colour."""
    command = ["evaluate", "--system", "amot", "--bundle", str(calibrated_rounds.folder), "--data", str(colour_photos)]
    return [*command, "--limit", "3"]


@pytest.fixture
def run(calibrated_rounds: Bundle, colour_photos: Path) -> list[str]:
    """The command line for a photo."""
    return [
        "run",
        str(colour_photos / "green" / "0.png"),
        "--system",
        "amot",
        "--bundle",
        str(calibrated_rounds.folder),
    ]


def test_evaluate_reports_the_documented_keys(evaluate: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Planned for a deadline that is easily met, over a shaped link; whole photos are not held up by that."""
    assert main([*evaluate, "--slo", "5000ms", "--link", "20mbit/2ms", "--wanted", "0.9", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == KEYS
    assert (found["photos"], found["accuracy"], found["server_accuracy"], found["slo_hit"]) == (3, 1.0, 1.0, 1.0)
    assert (found["rejected"], found["unanswered"], found["best_effort_share"]) == (0, 0, 0.0)
    assert found["wire_bytes"] > found["payload_bytes"] > 0
    assert 0 < found["patches_share"] < 1


def test_evaluate_prints_a_table_for_people(evaluate: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A fixed plan sends as much of every photo; the tiny server is never as sure as it demands."""
    assert main([*evaluate, "--plan", "webp:35:4:4:0.99"]) == 0
    out = capsys.readouterr().out
    assert "95 % interval" in out
    assert "sent 50.0% of the patches, second rounds 100.0%" in out


def test_deadlines_that_nothing_meets_are_refused_at_once(
    evaluate: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """By the planner, which knows how far the server is."""
    assert main([*evaluate, "--slo", "30", "--link", "20mbit/100ms", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rejected"], found["accuracy"], found["slo_hit"], found["server_accuracy"]) == (3, 0.0, 0.0, 1.0)


def test_a_sweep_writes_the_plane_and_goes_on_where_it_was(
    evaluate: list[str], split_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every curve as CSV, JSON and a picture; a second run measures nothing again."""
    out = tmp_path / "sweep"
    command = [*evaluate, "--sweep", str(out), "--rivals", str(split_bundle.folder), "--processes", "2"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((out / "sweep.json").read_text())
    with (out / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found["outcomes"]) == len((out / "points.jsonl").read_text().splitlines())
    assert rows[0].keys() == POINT_KEYS
    assert {row["curve"] for row in rows} == {
        *("whole photo, lossless", "whole photo, JPEG", "whole photo, WebP", "whole photo, smaller"),
        *("A-MOT", "MOT, full second pass", "one round", "one round, net", "whole photo, WebP, net"),
    }
    assert found["chosen"]["curve"] == "A-MOT"
    with Image.open(out / "sweep.png") as drawn:
        assert drawn.width > 500
    assert main([*command, "--within", "0.5"]) == 0
    assert "cheapest A-MOT within 50.00%" in capsys.readouterr().out
    assert len((out / "points.jsonl").read_text().splitlines()) == len(rows)


def test_run_draws_both_rounds(run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer in one line, and four panels."""
    picture = tmp_path / "rounds.png"
    assert main([*run, "--plan", "webp:35:4:4:0.99", "--picture", str(picture), "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["label"], found["decided_by"], found["rounds"], found["patches_sent"]) == ("green", "server", 2, 8)
    assert captured.err == ""
    with Image.open(picture) as drawn:
        assert drawn.width == 1400


def test_run_without_the_servers_half_draws_what_it_has(
    run: list[str], calibrated_rounds: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the server recovered does not cross the wire, and one line says that it is missing."""
    from server_ref.backend import Backend
    from server_ref.server import Server

    half = tmp_path / "half"
    shutil.copytree(calibrated_rounds.folder, half)
    (half / "recover.onnx").unlink()
    with Server(Backend.open(calibrated_rounds)) as server:
        command = [*run, "--bundle", str(half), "--server", server.address, "--picture", str(tmp_path / "x.png")]
        assert main([*command, "--plan", "webp:35:16"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "what the server recovered is not in it" in line
    assert (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--plan", "webp:35"], "--plan: 'webp:35' is no plan, write it like webp:35:49:50:0.9 or webp:35:49"),
        (["--plan", "webp:35:4:13:0.9"], "--plan: webp:35:4:13:0.9 is out of range, give"),
        (["--plan", "png:35:4"], "is no plan"),
        (["--plan", "webp:35:4", "--wanted", "0.9"], "--plan: leaves nothing to plan"),
        (["--wanted", "97"], "--wanted: 97.0 is not an accuracy within 0..1"),
        (["--price", "-1"], "--price: -1.0 is below 0"),
        (["--eta", "0"], "--eta: goes with --system attention, not amot"),
        (["--threads", "2"], "--threads: goes with --system attention or split or bps or slimmable, not amot"),
        (["--rivals", "zoo"], "--rivals: goes with --sweep"),
        (["--sweep", "out", "--deadline", "80"], "--deadline: --sweep tries plans of its own, in no hurry"),
        (["--sweep", "out", "--rivals"], "--rivals: no bundle named, give one with models that make do with some"),
        (["--sweep", "out", "--processes", "0"], "--processes: 0 is less than 1"),
        (["--system", "split", "--plan", "webp:35:4"], "--plan: goes with --system amot, not split"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    evaluate: list[str], options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line."""
    assert main([*evaluate, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_bundle_without_tables_takes_a_fixed_plan_only(
    rounds_bundle: Bundle, colour_photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing can be planned that nobody measured."""
    command = ["run", str(colour_photos / "red" / "0.png"), "--system", "amot", "--bundle", str(rounds_bundle.folder)]
    assert main(command) == 2
    assert "was not calibrated for two rounds" in capsys.readouterr().err
    assert main([*command, "--plan", "webp:35:4"]) == 0


def test_a_bundle_without_rounds_is_none_for_the_system(zoo: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named."""
    command = ["evaluate", "--system", "amot", "--bundle", str(zoo.folder), "--data", "photos"]
    assert main(command) == 2
    assert "has no models for two rounds" in capsys.readouterr().err
