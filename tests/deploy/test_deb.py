"""The Debian package: what it is made of, and (slow) the package itself."""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge_runtime import cli

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "deploy" / "debian"
MAN = DEBIAN / "edge-runtime.1"
# What the package leaves to Debian.
BROUGHT = {"numpy": "python3-numpy", "PIL": "python3-pil", "_cffi_backend": "python3-cffi-backend"}

pytestmark = pytest.mark.host


def wheel(folder: Path, *requires: str) -> Path:
    """A wheel with nothing but its requirements."""
    path = folder / "some-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some-1.dist-info/METADATA", "".join(f"Requires-Dist: {one}\n" for one in requires))
    return path


def test_requirements_are_those_of_the_extras_less_what_the_system_brings(tmp_path: Path) -> None:
    """Markers are read for Debian's Python, not for that of the machine which builds."""
    made = wheel(
        tmp_path,
        "grpcio<2,>=1.80",
        "numpy>=1.23",
        'tomli>=2; python_version < "3.11"',
        'aiohttp<4,>=3; extra == "daemon"',
        'numpy<2; python_version < "3.12" and extra == "legacy"',
        'torch; extra == "export"',
    )
    script = ROOT / "deploy" / "requirements.py"
    found = subprocess.run([sys.executable, script, made, "daemon,legacy", "numpy"], capture_output=True, check=True)
    assert found.stdout.decode().split() == ["grpcio<2,>=1.80", "aiohttp<4,>=3"]


def test_the_manual_page_knows_every_command() -> None:
    """Each command has its entry, and no entry is of a command that is gone."""
    parser = cli._parser()
    (commands,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    section = MAN.read_text().partition(".SH COMMANDS")[2].partition(".SH")[0]
    named = re.findall(r"^\.TP\n\.B (\w+)$", section, re.MULTILINE)
    assert sorted(named) == sorted(commands.choices)


@pytest.mark.skipif(shutil.which("man") is None, reason="this machine has no man")
def test_the_manual_page_is_well_formed() -> None:
    """No macro that groff does not know, no line that does not fit."""
    found = subprocess.run(["man", "--warnings", "--local-file", MAN], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert "/etc/edge-runtime/config.toml" in found.stdout


@pytest.mark.parametrize("name", ["edge-runtime", "edge-server"])
def test_a_launcher_hears_of_no_other_module(name: str) -> None:
    """Neither the caller's folder nor PYTHONPATH puts anything before what the package brings."""
    text = (DEBIAN / name).read_text()
    assert text.startswith("#!/usr/bin/python3 -IXfaulthandler\n")
    flags = text.split()[1]
    asked = "import faulthandler, sys; print(sys.flags.isolated, faulthandler.is_enabled())"
    found = subprocess.run([sys.executable, flags, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout == "1 True\n"


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    """With those that there are."""
    command = [ROOT / "deploy" / "build_deb.sh", "riscv64", tmp_path]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr == "deploy: architecture 'riscv64' is unknown, use amd64, arm64 or armhf\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for PCs; for boards it is built in the same way, and cannot run here."""
    if platform.machine() != "x86_64":
        pytest.skip("this machine is no PC")
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run([ROOT / "deploy" / "build_deb.sh", "amd64", folder], check=True, capture_output=True)
    (found,) = folder.glob("*.deb")
    return found


@pytest.fixture(scope="module")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its files, and in DEBIAN what dpkg is told."""
    folder = tmp_path_factory.mktemp("root")
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
    return folder


@pytest.mark.long
def test_building_again_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    """Nothing of when and where it was built is in it."""
    subprocess.run([ROOT / "deploy" / "build_deb.sh", "amd64", tmp_path], check=True, capture_output=True)
    assert (tmp_path / package.name).read_bytes() == package.read_bytes()


@pytest.mark.long
def test_all_belongs_to_root_and_nothing_is_set_uid(package: Path) -> None:
    """Whoever built it is not known to the machine that gets it."""
    listed = subprocess.run(["dpkg-deb", "--contents", package], check=True, capture_output=True, text=True).stdout
    assert {line.split()[1] for line in listed.splitlines()} == {"root/root"}
    assert not re.search(r"^.{0,9}[sStT]", listed, re.MULTILINE)
    assert not re.search(r"^-.......w", listed, re.MULTILINE)


@pytest.mark.long
def test_sums_and_configuration_files_are_those_that_are_there(unpacked: Path) -> None:
    """dpkg --verify has something to go by, and asks before it replaces what people have edited."""
    subprocess.run(["md5sum", "--check", "--quiet", "DEBIAN/md5sums"], cwd=unpacked, check=True)
    summed = {line.split("  ", 1)[1] for line in (unpacked / "DEBIAN/md5sums").read_text().splitlines()}
    owned = {
        str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink()
    }
    edited = (unpacked / "DEBIAN/conffiles").read_text().split()
    assert owned - summed - {f"DEBIAN/{path.name}" for path in (unpacked / "DEBIAN").iterdir()} == {
        name.removeprefix("/") for name in edited
    }


@pytest.mark.long
def test_it_brings_all_that_debian_does_not(unpacked: Path, tmp_path: Path) -> None:
    """With the three modules that it depends on and nothing else, kernels, daemon, sinks and server can be imported."""
    import _cffi_backend
    import numpy
    import PIL

    beside = [Path(numpy.__path__[0]), Path(f"{numpy.__path__[0]}.libs"), Path(PIL.__path__[0])]
    for path in [*beside, Path(f"{Path(PIL.__path__[0]).parent}/pillow.libs"), Path(_cffi_backend.__file__)]:
        (tmp_path / path.name).symlink_to(path)
    control = (unpacked / "DEBIAN/control").read_text()
    assert all(f"{package}," in control or f"{package}\n" in control for package in BROUGHT.values())
    code = f"""import sys
sys.path[:0] = [{str(unpacked / "usr/lib/edge-runtime")!r}, {str(tmp_path)!r}]
import edge_runtime.daemon.daemon, server_ref.cli, paho.mqtt.client, onnxruntime
from edge_runtime.cli import main
sys.exit(main(["kernels", "--json"]))"""
    found = subprocess.run([sys.executable, "-ISc", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert '"backend": "native"' in found.stdout
