"""The systemd units: valid, and as tight as the services behind them can bear."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "deploy" / "systemd"
UNITS = ["edge-runtime.service", "edge-server.service"]
EXAMPLES = sorted((SYSTEMD / "examples").glob("*.conf"))
# What these services need of what systemd could deny: the network, and /proc/cpuinfo. ProtectClock= brings a clock to
# read; a root folder and addresses of their own are the administrator's.
NEEDED = {
    "RestrictAddressFamilies_AF_INET_INET6",
    "RestrictAddressFamilies_AF_UNIX",
    "PrivateNetwork",
    "ProcSubset",
    "DeviceAllow",
    "RootDirectoryOrRootImage",
    "IPAddressDeny",
}

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze"),
]


def exposures(unit: Path) -> set[str]:
    """What systemd finds open, by its own names."""
    found = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--json=short", unit], check=True, capture_output=True
    )
    return {one["json_field"] for one in json.loads(found.stdout) if float(one["exposure"] or 0) > 0}


def verified(unit: Path) -> subprocess.CompletedProcess[str]:
    """systemd's reading of a unit and of the drop-ins beside it, with any mistake an error."""
    return subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=yes", "--man=no", unit], capture_output=True, text=True
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units in a folder, their programs replaced by one that is there."""
    for name in UNITS:
        text = (SYSTEMD / name).read_text()
        (tmp_path / name).write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    return tmp_path


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_valid(installed: Path, name: str) -> None:
    """No unknown key, no impossible value, no missing program."""
    found = verified(installed / name)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_valid_drop_in(installed: Path, example: Path) -> None:
    """Each works as it is, and would be noticed if it did not."""
    dropped = installed / "edge-runtime.service.d" / example.name
    dropped.parent.mkdir()
    dropped.write_text(example.read_text())
    assert (verified(installed / "edge-runtime.service").stderr) == ""
    dropped.write_text(example.read_text() + "Unknown=1\n")
    assert "Unknown" in verified(installed / "edge-runtime.service").stderr


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_exposed_by_what_it_needs_alone(name: str) -> None:
    """systemd's own score is at most 2.0 of 10, and every point of it has a reason."""
    assert exposures(SYSTEMD / name) == NEEDED
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", SYSTEMD / name]
    assert subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    "key",
    [
        "CapabilityBoundingSet",
        "MemoryDenyWriteExecute",
        "PrivateDevices",
        "ProtectKernelTunables",
        "RestrictNamespaces",
        "SystemCallArchitectures",
        "SystemCallFilter",
    ],
)
def test_loosening_is_noticed(tmp_path: Path, key: str) -> None:
    """A sandbox's line that is lost shows, even where it would not move the rounded score."""
    lines = (SYSTEMD / UNITS[0]).read_text().splitlines()
    loose = tmp_path / UNITS[0]
    loose.write_text("\n".join(line for line in lines if not line.startswith(f"{key}=")))
    assert {name.split("_")[0] for name in exposures(loose) - NEEDED} == {key}


def test_a_camera_costs_its_device_nodes_only(tmp_path: Path) -> None:
    """The camera's example opens video devices, and closes the others again."""
    both = (SYSTEMD / UNITS[0]).read_text() + (SYSTEMD / "examples" / "camera.conf").read_text()
    (tmp_path / UNITS[0]).write_text(both)
    assert exposures(tmp_path / UNITS[0]) - NEEDED == {"PrivateDevices", "SupplementaryGroups"}
