"""Whether a wheel is what a board can install: `check_wheel.py TARGET WHEEL`; exits with one line if it is not."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

# Older than the C library of every board's system that has a Python from 3.10 on.
NEWEST_GLIBC = (2, 28)
PACKAGES = {"edge_runtime", "exporters", "server_ref"}
LIBRARY = "edge_runtime/kernels/_native.abi3.so"


def faults(target: str, wheel: Path) -> list[str]:
    """What is wrong with a wheel for a target ("aarch64", "armv7l", "x86_64"), a line each."""
    found = []
    tags = re.fullmatch(r"edge_runtime-[^-]+-([^-]+-[^-]+)-([^-]+)\.whl", wheel.name)
    if tags is None or tags[1] != "cp310-abi3":
        return [f"{wheel.name}: is not for cp310-abi3, set py_limited_api in setup.py and csrc/build_kernels.py"]
    floors = [(int(major), int(minor)) for major, minor in re.findall(rf"manylinux_(\d+)_(\d+)_{target}", tags[2])]
    if not floors:
        found.append(f"{wheel.name}: has no manylinux tag for {target}, check the compiler")
    elif min(floors) > NEWEST_GLIBC:
        wanted, newest = (".".join(map(str, version)) for version in (min(floors), NEWEST_GLIBC))
        found.append(f"{wheel.name}: asks for glibc {wanted}, at most {newest}: keep libm and threads out of csrc")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    strangers = {name.partition("/")[0] for name in names} - PACKAGES
    strangers = {name for name in strangers if not name.endswith(".dist-info")}
    if strangers:
        found.append(f"{wheel.name}: holds {', '.join(sorted(strangers))}, which no device needs")
    if LIBRARY not in names:
        found.append(f"{wheel.name}: lacks {LIBRARY}, the compiled kernels")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(faults(sys.argv[1], Path(sys.argv[2]))) or None)
