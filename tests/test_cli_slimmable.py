"""``edge-runtime evaluate`` and ``run`` with ``--system slimmable``, tiny encoders and servers of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from edge_runtime.cli import main
from edge_runtime.models import Bundle

ROOT = Path(__file__).parents[1]
KEYS = {
    *("system", "family", "photos", "accuracy", "accuracy_interval", "slo_hit", "unanswered", "modes"),
    *("payload_bytes", "packed_bytes", "wire_bytes", "latency_ms"),
}
MODE_KEYS = {
    *("members", "bits", "accuracy", "accuracy_interval", "payload_bytes", "packed_bytes", "wire_bytes", "encode_ms"),
}
RIVALS = 6 + 6


@pytest.fixture
def evaluate(latent_bundle: Bundle, colour_photos: Path) -> list[str]:
    """The command line for one photo of each colour."""
    folder = str(latent_bundle.folder)
    return ["evaluate", "--system", "slimmable", "--bundle", folder, "--data", str(colour_photos), "--limit", "3"]


@pytest.fixture
def run(latent_bundle: Bundle, colour_photos: Path) -> list[str]:
    """The command line for a green photo."""
    photo = str(colour_photos / "green" / "0.png")
    return ["run", photo, "--system", "slimmable", "--bundle", str(latent_bundle.folder)]


def test_a_fixed_mode(evaluate: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The documented keys; the whole network's accuracy stands beside it."""
    assert main([*evaluate, "--members", "4", "--bits", "3.5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == KEYS | {"teacher_accuracy"}
    assert (found["family"], found["photos"], found["accuracy"], found["teacher_accuracy"]) == ("ensemble", 3, 1.0, 1.0)
    assert found["modes"] == [{"members": 4, "bits": 3.5, "share": 1.0}]


def test_modes_are_chosen_for_a_deadline(evaluate: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The most accurate of the table while there is time; whole bits where fractions are not wanted."""
    command = [*evaluate, "--family", "widths", "--deadline", "5000ms", "--estimate", "sums", "--whole-bits"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "3 photos, widths" in out
    assert "whole network, on lossless photos 100.00%" in out
    assert "answered in time 100.0%" in out
    assert "  4    4  100.0%" in out


def test_over_a_trace(evaluate: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hits, accuracy and the share of each mode, and a time line."""
    picture = tmp_path / "trace.png"
    command = [*evaluate, "--deadline", "250", "--trace", "20mbit@0,1mbit@0.5/4ms", "--seconds", "1"]
    assert main([*command, "--json", "--picture", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == KEYS
    assert found["photos"] == 4
    assert sum(mode["share"] for mode in found["modes"]) == pytest.approx(found["slo_hit"])
    with Image.open(picture) as drawn:
        assert drawn.width > 500


def test_a_grid_beside_its_rivals(
    evaluate: list[str], split_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every mode of whole bits, the other family, whole photos and the cuts of another bundle; and a picture."""
    picture = tmp_path / "grid.png"
    command = [
        *evaluate,
        "--grid",
        "--rivals",
        "--split",
        str(split_bundle.folder),
        "--json",
        "--picture",
        str(picture),
    ]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["photos"], found["teacher_accuracy"], found["family"]) == (3, 1.0, "ensemble")
    assert [(row["members"], row["bits"]) for row in found["modes"]] == [
        (members, bits) for members in (1, 2, 3, 4) for bits in (1, 2, 3, 4)
    ]
    assert all(row.keys() == MODE_KEYS for row in (*found["modes"], *found["families"]["widths"]))
    assert found["families"].keys() == {"widths"}
    assert len(found["rivals"]) == RIVALS + 2 * 4
    with Image.open(picture) as drawn:
        assert drawn.width > 500


def test_a_grid_for_people(evaluate: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Half bits as well, and nothing beside them."""
    assert main([*evaluate, "--grid", "--fractional", "--limit", "1"]) == 0
    first, head, *rows = capsys.readouterr().out.splitlines()
    assert first == "1 photos; whole network, on lossless photos 100.00%"
    assert head.startswith("ensemble: members, bits; accuracy")
    assert [tuple(map(float, row.split()[:2])) for row in rows] == [
        (members, bits / 2) for members in (1, 2, 3, 4) for bits in range(2, 9)
    ]


def test_run_says_which_mode(run: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A fixed one, and one that was chosen, for people and for programs."""
    assert main([*run, "--members", "2", "--bits", "2.5"]) == 0
    assert ": green " in (out := capsys.readouterr().out)
    assert "decided by server, min-entropy" in out
    assert "2 encoders, 6 levels, " in out
    assert main([*run, "--deadline", "5000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["label"], found["mode"]) == ("green", {"encoders": 4, "levels": 16})


def test_run_without_a_server(run: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Encoders have no answer of their own."""
    assert main([*run, "--members", "1", "--bits", "1", "--server", "127.0.0.1:9"]) == 2
    assert "UNAVAILABLE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--members", "2"], "--members, --bits: one of them given; give both"),
        (["--members", "2", "--bits", "2", "--estimate", "ema"], "--members, --bits: leave nothing to choose"),
        (["--members", "5", "--bits", "2"], "--members: 5 of 4; give 1..4"),
        (["--members", "2", "--bits", "2.2"], "--bits: 2.2 is not among its rates; give 1, 1.5, 2, 2.5, 3, 3.5, 4"),
        (["--family", "big"], "no encoders named 'big'; it has ensemble, widths"),
        (["--grid", "--members", "2"], "--members: --grid tries every mode, in no hurry"),
        (["--grid", "--deadline", "50"], "--deadline: --grid tries every mode"),
        (["--grid", "--split", "zoo"], "--split: its cuts are rivals, give --rivals as well"),
        (["--grid", "--rivals", "zoo"], "--rivals: zoo was given, --system slimmable takes --split BUNDLE for it"),
        (["--rivals"], "--rivals: goes with --grid"),
        (["--fractional"], "--fractional: goes with --grid"),
        (["--trace", "5mbit/20ms"], "--trace: photos come at the rate of their deadlines, give a --deadline"),
        (["--trace", "5mbit/20ms", "--deadline", "90", "--link", "5mbit/2ms"], "--link: --trace shapes the link"),
        (["--trace", "5mbit", "--deadline", "90"], "has no round trip"),
        (["--trace", "5mbit/20ms", "--deadline", "90", "--seconds", "0"], "--seconds: 0.0 is not above 0"),
        (["--seconds", "3"], "--seconds: goes with --trace"),
        (["--picture", "a.png"], "--picture: goes with --trace or --grid"),
        (["--grid", "--picture", "nowhere/a.png"], "--picture: nowhere is no folder, make it first"),
        (["--sweep", "out"], "--sweep: goes with --system attention or split or amot, not slimmable"),
        (["--quality", "50"], "--quality: goes with --system attention or split, not slimmable"),
        (["--system", "split", "--members", "1"], "--members: goes with --system slimmable, not split"),
        (["--system", "split", "--grid"], "--grid: goes with --system slimmable, not split"),
        (["--system", "attention", "--trace", "5mbit/2ms"], "--trace: goes with --system bps or slimmable"),
        (["--server", "127.0.0.1:9", "--members", "1", "--bits", "1"], "127.0.0.1"),
    ],
)
def test_an_error_is_one_line(
    evaluate: list[str], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What does not apply or does not fit is refused, not passed over."""
    assert main([*evaluate, *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


def test_run_draws_nothing(run: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A latent is no picture."""
    assert main([*run, "--picture", "a.png"]) == 2
    assert "--picture: goes with --system attention or amot, not slimmable" in capsys.readouterr().err


def test_a_bundle_without_encoders(colour_photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says how to make one."""
    command = ["evaluate", "--system", "slimmable", "--bundle", str(ROOT / "zoo"), "--data", str(colour_photos)]
    assert main(command) == 2
    assert "it has no slimmable encoders; export some with `edge-export slimmable`" in capsys.readouterr().err
