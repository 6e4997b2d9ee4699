"""``profile --for-scheduler``, ``schedule`` and ``evaluate --system bps`` with the tiny cut network."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from edge_runtime.cli import main
from edge_runtime.models import Bundle
from edge_runtime.scheduling import tables

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def profile(split_bundle: Bundle, colour_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of the tiny network, measured over a real server."""
    out = tmp_path_factory.mktemp("profile") / "tables.json"
    command = ["profile", "--for-scheduler", "--bundle", str(split_bundle.folder), "--data", str(colour_photos)]
    assert main([*command, "--link", "50mbit/4ms", "--out", str(out), "--json"]) == 0
    return out


def costs(found: tables.Tables) -> list[tuple[str, str, float, float]]:
    """What the levels of every site cost in bytes and losses."""
    return [(site.cut, one.name, one.payload_bytes, one.loss) for site in found.sites for one in site.levels]


@pytest.fixture
def bps(split_bundle: Bundle, colour_photos: Path, profile: Path) -> list[str]:
    """The command line of an evaluation."""
    command = ["evaluate", "--system", "bps", "--bundle", str(split_bundle.folder), "--data", str(colour_photos)]
    return [*command, "--tables", str(profile), "--seconds", "1"]


def test_profile_measures_every_part(split_bundle: Bundle, profile: Path) -> None:
    """Every batch of every part, every level, and the link as it was, named by device, runtime, threads and date."""
    found = tables.load(profile)
    assert [site.cut for site in found.sites] == ["", "early", "late"]
    assert found.bundle_hash == split_bundle.hash
    assert set(found.local_s) == {1, 2, 4, 8, 16, 32} == set(found.sites[1].device_s) == set(found.sites[0].server_s)
    assert not found.sites[0].device_s
    assert {"jpeg"} == {level.codec for level in found.sites[0].levels}
    assert {"ff", "half", "uniform"} == {level.codec for level in found.sites[2].levels}
    assert found.sites[1].level("half").payload_bytes > found.sites[1].level("ff q80").payload_bytes
    assert all(abs(level.loss) <= 1 for site in found.sites for level in site.levels)
    assert (found.local_loss, found.local_loss_error) == (0, 0)
    assert found.bandwidth * 8 == pytest.approx(50e6, rel=0.5)
    assert 0.004 <= found.round_trip_s < 0.03
    assert 50 < found.request_bytes < 500
    assert (found.origin.runtime, found.origin.threads, found.origin.photos) == ("onnxruntime", 1, 36)
    assert found.origin.device
    assert found.origin.date


def test_profile_measures_times_again(split_bundle: Bundle, colour_photos: Path, profile: Path, tmp_path: Path) -> None:
    """With ``--retime`` bytes and losses stay as they are in the file, times and link are new."""
    out = tmp_path / "tables.json"
    out.write_bytes(profile.read_bytes())
    command = ["profile", "--for-scheduler", "--bundle", str(split_bundle.folder), "--data", str(colour_photos)]
    assert main([*command, "--retime", "--link", "10mbit/20ms", "--out", str(out), "--json"]) == 0
    old, new = tables.load(profile), tables.load(out)
    assert costs(old) == costs(new)
    assert new.round_trip_s > old.round_trip_s
    assert new.local_s != old.local_s


def test_profile_needs_photos_enough(
    split_bundle: Bundle, colour_photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too few photos for the largest batch is said at once."""
    command = ["profile", "--for-scheduler", "--bundle", str(split_bundle.folder), "--data", str(colour_photos)]
    assert main([*command, "--limit", "5"]) == 2
    assert "5 are too few to time batches of 32" in capsys.readouterr().err


def test_schedule_explains(split_bundle: Bundle, profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan, why, its stages, and the next best one of another kind."""
    command = ["schedule", "--bundle", str(split_bundle.folder), "--tables", str(profile), "--bandwidth", "5mbit/20ms"]
    assert main([*command, "--explain"]) == 0
    text = capsys.readouterr().out
    assert "answers most frames a second" in text
    assert "next best: " in text
    assert main([*command, "--rate", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["keeps_up"]
    assert {"device_s", "link_s", "server_s", "rate", "latency_s"} <= found["chosen"].keys()
    assert main([*command, "--no-link"]) == 0
    assert capsys.readouterr().out.startswith("local(")


def test_schedule_refuses_tables_of_another_bundle(
    zoo: Bundle, profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Times of another network would be believed otherwise."""
    assert main(["schedule", "--bundle", str(zoo.folder), "--tables", str(profile)]) == 2
    assert "measured with another bundle" in capsys.readouterr().err


def test_a_hole_in_the_tables_is_predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cut that was not timed is planned with by what the other parts took."""
    found = tables.load(ROOT / "zoo" / "lite0" / "tables.json")
    change = msgspec.structs.replace
    sites = [change(site, device_s={}, server_s={}) if site.cut == "conv16" else site for site in found.sites]
    tables.save(change(found, sites=tuple(sites)), tmp_path / "holes.json")
    command = ["schedule", "--bundle", str(ROOT / "zoo" / "lite0"), "--tables", str(tmp_path / "holes.json"), "--json"]
    assert main([*command, "--bandwidth", "1mbit/20ms", "--device-factor", "4"]) == 0
    assert json.loads(capsys.readouterr().out)["chosen"]["plan"]["cut"] == "conv16"


def test_evaluate_beside_baselines(bps: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each policy over the same link and load, with accuracy, and pictures of it."""
    out = ["--picture", str(tmp_path / "bps.png"), "--perfetto", str(tmp_path / "trace.json"), "--json"]
    load = ["--trace", "8mbit@0,1mbit@0.5/4ms", "--arrivals", "steady:30", "--deadline", "500"]
    assert main([*bps, *load, *out, "--against", "local", "remote"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [run["policy"] for run in runs] == ["bps", "local", "remote"]
    for run in runs:
        assert run["frames"] == 30
        assert run["accuracy"] == 1
        assert run["rate"] > 20
    assert runs[1]["sent_bytes_per_answer"] == 0 < runs[2]["sent_bytes_per_answer"]
    with Image.open(tmp_path / "bps.png") as drawn:
        assert drawn.width > 500
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {"M", "X"} == {event["ph"] for event in events}


def test_evaluate_simulated(bps: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The same in virtual time, for every baseline, as a table for people."""
    assert main([*bps, "--simulated", "--slower", "4", "--seconds", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("bps")
    assert len(lines) >= 8


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--against", "nobody"], "'nobody' is not among the rivals"),
        (["--slower", "0"], "--slower: 0"),
        (["--seconds", "0"], "--seconds: 0"),
        (["--trace", "fast"], "no round trip"),
        (["--picture", "nowhere/x.png"], "nowhere is no folder"),
        (["--sweep", "x"], "--sweep: goes with --system attention or split"),
        (["--cut", "early"], "--cut: goes with --system split"),
    ],
)
def test_evaluate_says_what_is_wrong(
    bps: list[str], options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr, exit code 2."""
    assert main([*bps, *options]) == 2
    assert says in capsys.readouterr().err


def test_only_a_simulation_needs_no_photos(
    split_bundle: Bundle, profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It computes no frame; whatever runs for real says that there are none."""
    command = ["evaluate", "--system", "bps", "--bundle", str(split_bundle.folder), "--tables", str(profile)]
    assert main([*command, "--simulated", "--seconds", "2", "--against", "local"]) == 0
    assert main(command) == 2
    assert "--data: none given" in capsys.readouterr().err


def test_scheduler_options_belong_to_the_scheduler(colour_photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other systems refuse them instead of doing nothing."""
    assert main(["evaluate", "--data", str(colour_photos), "--trace", "5mbit/20ms"]) == 2
    assert "--trace: goes with --system bps or slimmable, not attention" in capsys.readouterr().err
