"""Everything in the README is run: its table, its ten lines, its commands."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from daemon_process import DaemonProcess
from PIL import Image

from edge_runtime import cli
from edge_runtime.evaluation.link import serving
from server_ref import cli as server_cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [line.strip() for line in re.findall(r"^ {4}(\S.*)$", README, re.MULTILINE)]


def of(program: str) -> list[list[str]]:
    """The README's command lines of one program, without their comments."""
    return [shlex.split(line, comments=True)[1:] for line in COMMANDS if line.split()[0] == program]


def test_the_tables_are_made_from_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure is typed by hand: the script that makes the tables makes the same ones again."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("figures", ROOT / "benchmarks" / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for path, tables in module.documents().items():
        for table in tables:
            assert table in path.read_text(), path


def test_the_ten_lines_run(tmp_path: Path) -> None:
    """They answer a photo with a server of their own."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8))
    coarse.resize((320, 240)).save(tmp_path / "photo.jpg")
    (tmp_path / "zoo").symlink_to(ROOT / "zoo")
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert any(who in run.stdout for who in ("edge", "server"))


def test_the_scheduler_runs_as_its_page_has_it(tmp_path: Path) -> None:
    """The page's Python answers twenty frames, with a server of the zoo's cut network."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "systems" / "bps.md").read_text(), re.DOTALL)
    Image.fromarray(np.full((240, 320, 3), 100, np.uint8)).save(tmp_path / "photo.jpg")
    (tmp_path / "zoo").symlink_to(ROOT / "zoo")
    with serving(ROOT / "zoo" / "lite0") as address:
        code = code.replace("127.0.0.1:50151", address)
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
        )
    assert run.returncode == 0, run.stderr
    assert [line.split()[0] for line in run.stdout.splitlines()] == [str(number) for number in range(20)]


def test_the_daemon_runs_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration that the first command writes is fine and answers a posted photo, though there is no server."""
    (exported,) = of("export")
    for name, value in (one.split("=") for one in exported):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EDGE_RUNTIME__HTTP__LISTEN", "127.0.0.1:0")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo").symlink_to(ROOT / "zoo")
    steps = [arguments for arguments in of("edge-runtime") if "daemon.toml" in arguments]
    assert [step[0] for step in steps] == ["config", "config", "daemon"]
    for step in steps[:2]:
        assert cli.main(step) == 0
    (curl,) = of("curl")
    Image.fromarray(np.full((240, 320, 3), 100, np.uint8)).save(tmp_path / "photo.jpg")
    with DaemonProcess(tmp_path / "daemon.toml") as daemon:
        record = daemon.post(curl[-1].rpartition("/")[2], (tmp_path / "photo.jpg").read_bytes())
    assert record["decided_by"] in ("edge", "edge-fallback")


def test_the_make_targets_exist() -> None:
    """`make -n` finds a rule for each."""
    for (target,) in [arguments[:1] for arguments in of("make")]:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("arguments", of("edge-runtime"), ids=" ".join)
def test_the_device_commands_parse(arguments: list[str]) -> None:
    """Every option shown exists."""
    cli._parser().parse_args(arguments)


@pytest.mark.parametrize("arguments", of("edge-server"), ids=" ".join)
def test_the_server_commands_parse(arguments: list[str]) -> None:
    """Every option shown exists."""
    server_cli._parser().parse_args(arguments)


@pytest.mark.parametrize("arguments", of("edge-export"), ids=" ".join)
def test_the_export_commands_parse(arguments: list[str]) -> None:
    """Every option shown exists."""
    import argparse
    import importlib

    from exporters.cli import COMMANDS as VERBS

    parser = argparse.ArgumentParser()
    importlib.import_module(VERBS[arguments[0]][0]).add_arguments(parser)
    parser.parse_args(arguments[1:])


def test_the_files_it_links_to_exist() -> None:
    """No dead link."""
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
