"""Builds programs of `csrc/emulation` for a core, as the extension is built, for an emulator to run."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from result_files import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CSRC = ROOT / "csrc"
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-psabi")
KERNELS = ("*.c", "x86/*.c", "arm/*.c")


def build(compiler: str, name: str, folder: Path, *, extra: Iterable[str] = (), flags: Iterable[str] = FLAGS) -> Path:
    """The program csrc/emulation/`name`.c with every kernel and the sources that match `extra`; static."""
    program = folder / f"{name}-{compiler}"
    sources = [source for pattern in (*KERNELS, *extra) for source in sorted(CSRC.glob(pattern))]
    command = [compiler, *flags, "-static", f"-I{CSRC}", *sources, CSRC / "emulation" / f"{name}.c", "-o", program]
    subprocess.run(command, check=True)  # noqa: S603
    return program
