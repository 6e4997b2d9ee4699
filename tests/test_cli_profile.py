"""``edge-runtime profile`` on this device: report, JSON, trace, picture, comparison, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edge_runtime.cli import main
from edge_runtime.profiling import device, report

KERNEL = "softmax of 1000"
ARGUMENTS = ["profile", "--kernels-only", "--only", "softmax*[[]reference]", "--seconds", "0.05"]


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One kernel in NumPy."""
    out = tmp_path_factory.mktemp("profile") / "profile.json"
    assert main([*ARGUMENTS, "--out", str(out)]) == 0
    return out


def changed(profile: Path, out: Path, factor: float) -> Path:
    """A copy in which everything took so many times as long."""
    found = report.load(profile)
    scaled = []
    for row in found.kernels:
        timing = row.timing
        quick = report.Estimate(*(value * factor for value in msgspec.structs.astuple(timing.quick)))
        scaled.append(msgspec.structs.replace(row, timing=msgspec.structs.replace(timing, quick=quick)))
    out.write_bytes(report.encode(msgspec.structs.replace(found, kernels=tuple(scaled))))
    return out


def test_a_kernel_is_profiled(profile, capsys):
    """The file holds what the text shows."""
    (row,) = report.load(profile).kernels

    assert row.key == f"{KERNEL} [reference]"
    assert main([*ARGUMENTS]) == 0
    assert KERNEL in capsys.readouterr().out


def test_json_is_the_same_tree(capsys):
    """On standard output, alone."""
    assert main([*ARGUMENTS, "--json"]) == 0

    found = msgspec.json.decode(capsys.readouterr().out.encode(), type=report.Profile)
    assert found.kernels[0].name == KERNEL
    assert found.models == ()


def test_trace_and_picture_are_written(tmp_path, capsys):
    """Beside the report."""
    trace, picture = tmp_path / "trace.json", tmp_path / "roofline.png"

    assert main([*ARGUMENTS, "--trace", str(trace), "--picture", str(picture)]) == 0

    assert any(event["ph"] == "X" and event["name"] == KERNEL for event in json.loads(trace.read_text())["traceEvents"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert KERNEL in capsys.readouterr().out


@pytest.mark.parametrize(("factor", "code", "word"), [(0.01, 1, "slower"), (100.0, 0, "faster")])
def test_the_exit_code_says_whether_a_row_became_slower(profile, tmp_path, capsys, factor, code, word):
    """So that a pipeline can gate on it."""
    old = changed(profile, tmp_path / "old.json", factor)

    assert main([*ARGUMENTS, "--compare", str(old)]) == code
    assert word in capsys.readouterr().out


def test_another_machine_is_a_warning(profile, tmp_path, capsys):
    """The rows are compared all the same."""
    found = report.load(profile)
    other = msgspec.structs.replace(found.fingerprint, cpu="4 × Cortex-A76")
    old = tmp_path / "old.json"
    old.write_bytes(report.encode(msgspec.structs.replace(found, fingerprint=other)))

    main([*ARGUMENTS, "--compare", str(old), "--json"])

    assert "warning: another machine or software: cpu: 4 × Cortex-A76 → " in capsys.readouterr().err


def test_models_are_profiled_with_the_stages_around_them(split_bundle, capsys):
    """Every runtime that a file claims, each in its own process."""
    command = ["profile", "--models-only", "--bundle", str(split_bundle.folder), "--threads", "1", "--seconds", "0.1"]

    assert main([*command, "--json"]) == 0

    found = msgspec.json.decode(capsys.readouterr().out.encode(), type=report.Profile)
    assert found.kernels == ()
    assert {row.model for row in found.models} == {model.name for model in split_bundle.models("edge")}
    assert all(row.error is None and row.timing is not None for row in found.models)
    assert [row.system for row in found.pipelines] == ["local", "split"]
    assert "a frame of local" in found.advice


def test_without_the_compiled_kernels_it_goes_on():
    """NumPy alone: no ceilings, seconds instead of cycles."""
    block = "import sys; sys.modules['edge_runtime.kernels._native'] = None; from edge_runtime.cli import main; "
    code = f"{block}sys.exit(main({[*ARGUMENTS, '--json']!r}))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    found = msgspec.json.decode(done.stdout, type=report.Profile)
    assert (found.ceilings, found.fingerprint.backend) == (None, "reference")
    assert [row.timing.unit for row in found.kernels] == ["seconds"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seconds", "0"], "--seconds: 0 is not above 0"),
        (["--threads", "0"], "--threads: 0 is not 1 or more"),
        (["--data", "photos"], "--data: goes with --for-scheduler"),
        (["--compare", "nowhere.json"], "nowhere.json: no such file; write it with `edge-runtime profile --json`"),
        (["--trace", "nowhere/trace.json"], "nowhere/trace.json: there is no folder nowhere, make it first"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_measured(options, message, capsys, monkeypatch):
    """In one line, with exit code 2."""
    monkeypatch.setattr(device.ceilings, "measure", lambda *_: pytest.fail("measured"))

    assert main([*ARGUMENTS, *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--compare", "old.json"], "--compare: goes with a profile of the device, not with --for-scheduler"),
        ([], "--data: --for-scheduler needs labelled photos"),
    ],
)
def test_the_schedulers_tables_have_options_of_their_own(options, message, capsys):
    """And need photos."""
    assert main(["profile", "--for-scheduler", *options]) == 2
    assert message in capsys.readouterr().err
