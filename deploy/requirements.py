"""What a wheel asks for, less what a system brings: `requirements.py WHEEL EXTRAS NAMES`, with commas in lists."""

from __future__ import annotations

import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

from packaging.requirements import Requirement

# Debian 12's, which the package is made for.
PYTHON = {"python_version": "3.11", "python_full_version": "3.11.2"}


def requirements(wheel: Path, extras: list[str], brought: list[str]) -> list[str]:
    """The requirements of a wheel with these extras, but for those named."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    found = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    return [f"{one.name}{one.specifier}" for one in found if one.name not in brought and _applies(one, extras)]


def _applies(one: Requirement, extras: list[str]) -> bool:
    return one.marker is None or any(one.marker.evaluate({**PYTHON, "extra": extra}) for extra in ["", *extras])


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3].split(","))))
