"""The container files: well formed, without root, and of files that the build may see. No image is built here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONTAINERS = ROOT / "deploy" / "containers"
DOCKERFILES = sorted(CONTAINERS.glob("*.Dockerfile"))
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent))

pytestmark = pytest.mark.host


def sources(dockerfile: Path) -> list[str]:
    """What a Dockerfile copies out of the tree."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", dockerfile.read_text(), re.MULTILINE)
    return [name for line in lines for name in line.split()[:-1]]


def complaints(dockerfile: Path) -> str:
    """What hadolint has against it."""
    assert HADOLINT
    return subprocess.run([HADOLINT, "--no-color", dockerfile], capture_output=True, text=True).stdout


@pytest.mark.skipif(HADOLINT is None, reason="hadolint has no wheel for this machine")
@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_a_linter_has_no_complaint(dockerfile: Path, tmp_path: Path) -> None:
    """Pinned bases, no root at the end, no shell where none is needed; and a mistake would be seen."""
    assert complaints(dockerfile) == ""
    text = dockerfile.read_text()
    for change, rule in (("USER root", "DL3002"), ("FROM python:latest", "DL3007")):
        worse = tmp_path / dockerfile.name
        worse.write_text(re.sub(rf"^{change.split()[0]} .*$", change, text, flags=re.MULTILINE))
        assert rule in complaints(worse)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_everything_copied_is_there_and_sent_to_the_builder(dockerfile: Path) -> None:
    """Each source is in the tree, and .dockerignore lets it pass."""
    rules = (ROOT / ".dockerignore").read_text().split()
    for name in sources(dockerfile):
        assert (ROOT / name).exists()
        assert f"!{name}" in rules


@pytest.mark.parametrize("name", ["device", "server"])
def test_a_service_of_the_example_can_write_nothing_but_its_state(name: str) -> None:
    """Its root and all that it mounts is read-only, but for volumes, and no capability is left."""
    compose = yaml.safe_load((CONTAINERS / "compose.yaml").read_text())
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    writable = [one for one in service["volumes"] if not one.endswith(":ro")]
    assert {one.split(":")[0] for one in writable} <= compose["volumes"].keys()
    assert (CONTAINERS / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).is_file()
