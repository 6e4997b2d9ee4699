"""``edge-runtime config``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_runtime.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    Ran = Callable[..., tuple[int, str, str]]

ZOO = Path(__file__).parents[1] / "zoo"


@pytest.fixture
def ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ran:
    """Runs a command on ``config.toml``; its exit code and what it wrote."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["config", *words, "--config", str(tmp_path / "config.toml")])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration that is fine here, but for a warning."""
    found = tmp_path / "config.toml"
    found.write_text(f'bundle = "{ZOO}"\n[http]\nlisten = "0.0.0.0:80"\n[[source]]\nkind = "http"\nname = "a"\n')
    with found.open("a") as file:
        file.write('[source.system]\nkind = "local"\n')
    return found


def test_a_new_configuration_has_every_key_and_is_not_written_over(ran: Ran, tmp_path: Path) -> None:
    """Unless that is asked for."""
    assert ran("init") == (0, f"{tmp_path}/config.toml: written, with every key and its default\n", "")
    text = (tmp_path / "config.toml").read_text()
    (tmp_path / "config.toml").write_text("# mine")
    code, _, error = ran("init")
    assert (code, error) == (
        2,
        f"edge-runtime: {tmp_path}/config.toml: is there already; give --force to write over it\n",
    )
    assert (tmp_path / "config.toml").read_text() == "# mine"
    assert json.loads(ran("init", "--force", "--json")[1]) == {"config": f"{tmp_path}/config.toml"}
    assert (tmp_path / "config.toml").read_text() == text


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And why."""
    (tmp_path / "file").write_text("")
    assert main(["config", "init", "--config", str(tmp_path / "file" / "config.toml")]) == 2
    assert "config.toml: cannot be written (File exists); give --config another path" in capsys.readouterr().err


def test_a_configuration_that_could_run_is_fine(ran: Ran, path: Path) -> None:
    """With its warnings before."""
    warning = "http.listen: 0.0.0.0:80 can be reached from other machines, and asks for no password"
    assert ran("check") == (0, f"{path}: warning: {warning}\n{path}: fine\n", "")
    assert json.loads(ran("check", "--json")[1]) == {"config": str(path), "problems": [], "warnings": [warning]}


def test_a_configuration_that_could_not_is_not(ran: Ran, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither when a key is wrong, nor when a path leads nowhere; exit code 2."""
    monkeypatch.setenv("EDGE_RUNTIME__BUNDLE", "/nowhere")
    code, out, _ = ran("check")
    assert code == 2
    assert f"{path}: bundle: /nowhere/bundle.toml: no such file" in out
    assert "fine" not in out
    monkeypatch.setenv("EDGE_RUNTIME__LINK__SRVER", "x")
    code, out, _ = ran("check", "--json")
    assert code == 2
    assert json.loads(out)["problems"] == ["EDGE_RUNTIME__LINK__SRVER: link.srver: no such key; did you mean server?"]


def test_a_bundle_that_does_not_suit_its_system_is_told(ran: Ran, path: Path) -> None:
    """What only opening the models shows is found too, before a daemon is stopped for it."""
    path.write_text(path.read_text().replace('"local"', '"amot"\n[link]\nserver = "127.0.0.1:1"'))
    code, out, _ = ran("check")
    assert code == 2
    assert f"{path}: source[0].system: {ZOO}: has no models for two rounds" in out


def test_what_holds_is_shown(ran: Ran, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As TOML with the defaults, and where each value came from."""
    monkeypatch.setenv("EDGE_RUNTIME__LINK__SERVER", "host:1")
    _, out, _ = ran("show")
    assert str(path) not in out
    tables = msgspec.toml.decode(out)
    assert tables["link"]["server"] == "host:1"
    assert tables["source"][0]["queue"] == 16
    _, out, _ = ran("show", "--origin")
    assert 'server = "host:1"  # environment EDGE_RUNTIME__LINK__SERVER\n' in out
    assert 'listen = "0.0.0.0:80"  # file\n' in out
    assert "queue = 16  # default\n" in out
    assert "# max_fps is not set\n" in out


def test_what_holds_is_json_when_asked(ran: Ran, path: Path) -> None:
    """Keys that are not set are null."""
    tables = json.loads(ran("show", "--json")[1])
    assert (tables["bundle"], tables["spool"]) == (str(ZOO), None)
    with_origins = json.loads(ran("show", "--json", "--origin")[1])
    assert with_origins["config"] == tables
    assert with_origins["origins"]["http.listen"] == "file"
    assert path.exists()
