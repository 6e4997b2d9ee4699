"""``edge-runtime modes`` on a tiny family of encoders."""

from __future__ import annotations

import json

import pytest

from edge_runtime.cli import main
from edge_runtime.control.mode_choice import MESSAGE_BYTES
from edge_runtime.models import Bundle


def modes(bundle: Bundle, *options: str) -> int:
    """The exit code of the command."""
    return main(["modes", "--bundle", str(bundle.folder), *options])


def test_modes_says_the_mode(latent_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """One line: encoders and levels; with little time the cheapest."""
    assert modes(latent_bundle, "--bandwidth", "5mbit/20ms", "--deadline", "10000ms") == 0
    assert capsys.readouterr().out == "4 encoders, 4 bits (16 levels)\n"
    assert modes(latent_bundle, "--bandwidth", "5mbit/20ms", "--deadline", "1", "--family", "widths") == 0
    assert capsys.readouterr().out == "1 encoder, 1 bit (2 levels)\n"


def test_modes_explains_the_mode(latent_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """Why, what binds, and every mode with its times; those that are late are marked."""
    assert modes(latent_bundle, "--bandwidth", "1kbit/20ms", "--deadline", "3000", "--explain") == 0
    why, binds, head, *rows = capsys.readouterr().out.splitlines()
    assert why.startswith("4 encoders, 3 bits (8 levels): the most accurate in time, 2")
    assert why.endswith("of 2400.0 allowed")
    assert binds == "  what binds: link (a link that takes no time would allow a better one)"
    assert head == "members, bits: accuracy; most bytes; ms"
    assert len(rows) == 28
    assert rows[0].startswith("  4    4:  96.0%;     41; 24")
    assert all(row.endswith(", late") == (float(row.split("; ")[-1].split()[0]) >= 2400) for row in rows)


def test_modes_in_json(latent_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """Times add up, link and server are as stated and as the table has it, and fractions are left out if asked."""
    command = ("--bandwidth", "800kbit/20ms", "--deadline", "300", "--whole-bits", "--json")
    assert modes(latent_bundle, *command, "--explain") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["fits"], found["binds"]) == (True, [])
    assert len(found["modes"]) == 16
    best = found["modes"][0]
    assert (best["members"], best["bits"], best["accuracy"]) == (4, 4.0, pytest.approx(0.96))
    assert best["times_ms"]["server"] == 5.0
    assert best["times_ms"]["link"] == pytest.approx(20 + (best["bytes"]["most"] + MESSAGE_BYTES) / 100, abs=1e-3)
    for row in found["modes"]:
        times = row["times_ms"]
        assert times["total"] == pytest.approx(times["encode"] + times["link"] + times["server"], abs=2e-3)
    assert found["chosen"] == best
    assert modes(latent_bundle, *command) == 0
    assert json.loads(capsys.readouterr().out).keys() == best.keys()


def test_modes_says_when_none_is_in_time(latent_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """And that neither a faster device nor a faster link alone would help."""
    assert modes(latent_bundle, "--bandwidth", "1kbit/20ms", "--deadline", "5", "--explain") == 0
    out = capsys.readouterr().out
    assert "1 encoder, 1 bit (2 levels): none is in time, this is the cheapest" in out
    assert "what binds: deadline (with more time there would be a better one)" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--bandwidth", "fast", "--deadline", "80"], "link: 'fast' is not RATE/RTT"),
        (["--bandwidth", "5mbit/20ms", "--deadline", "80", "--family", "big"], "no encoders named 'big'"),
        (["--bandwidth", "5mbit/20ms", "--deadline", "80", "--precision", "int8"], "no file for runtime"),
    ],
)
def test_modes_refuses_in_one_line(
    latent_bundle: Bundle, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The thing, its value, and what to do."""
    assert modes(latent_bundle, *options) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
