"""`edge-runtime daemon`: how it starts, or says in one line why it does not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_runtime.cli import main

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.usefixtures("restored_logs")
ZOO = Path(__file__).parents[1] / "zoo"
SOURCE = '[[source]]\nname = "gate"\nkind = "http"\nsystem = { kind = "local" }\n'
PORT = '[http]\nlisten = "127.0.0.1:0"\n'



@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("[[", "is not TOML"),
        (f"nonsense = 1\n{SOURCE}", "nonsense"),
        (f"{PORT}{SOURCE}", "source[0].bundle: is missing"),
        (f'bundle = "/none"\n{PORT}{SOURCE}', "/none/bundle.toml: no such file"),
        (f'bundle = "{ZOO}"\n[http]\nlisten = "nowhere"\n{SOURCE}', "http.listen"),
        (f'bundle = "{ZOO}"\n[http]\nlisten = "192.0.2.1:1"\n{SOURCE}', "192.0.2.1:1"),
        (f'bundle = "{ZOO}"\n{PORT}[spool]\npath = "/proc/none/spool.db"\n{SOURCE}', "/proc/none"),
        (
            f'bundle = "{ZOO}"\n{PORT}{SOURCE}[[sink]]\nname = "a"\nkind = "jsonl"\npath = "/proc/none/a"\n',
            "/proc/none",
        ),
    ],
    ids=["no file", "no toml", "key", "no bundle", "bundle", "address", "port", "spool", "sink"],
)
def test_what_cannot_start_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    """The exit code is 2, so that nobody takes it for an orderly end."""
    path = tmp_path / "config.toml"
    if text is not None:
        path.write_text(text)
    assert main(["daemon", "--config", str(path)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if '"level": "info"' not in line]
    errors = [line for line in lines if not line.startswith("{")]
    assert len(errors) == 1
    assert message in errors[0]


def test_without_its_packages_it_names_the_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only some devices need is not installed on all of them."""
    monkeypatch.delitem(sys.modules, "edge_runtime.daemon.daemon", raising=False)
    monkeypatch.setitem(sys.modules, "structlog", None)
    assert main(["daemon", "--config", str(tmp_path / "config.toml")]) == 2
    assert "structlog is not installed; pip install 'edge-runtime[daemon]'" in capsys.readouterr().err


@pytest.mark.host
def test_it_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """With --json its log is JSON, line by line; standard output stays empty."""
    path = tmp_path / "config.toml"
    path.write_text(f'bundle = "{ZOO}"\n{PORT}{SOURCE}')
    command = [sys.executable, "-m", "edge_runtime", "daemon", "--json", "--config", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        events = []
        for line in daemon.stderr:
            events.append(json.loads(line)["event"])
            if events[-1] == "started":
                daemon.send_signal(signal.SIGTERM)
        assert daemon.stdout is not None
        assert daemon.stdout.read() == ""
    assert (events[-1], daemon.returncode) == ("stopped", 0)
