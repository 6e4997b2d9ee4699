"""Samples photos on an emulated ARM core: are they the same patches as here and in NumPy?

    python benchmarks/arm_sampling.py [--json FILE] [--seeds N]

Needs gcc, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from emulation import build
from tqdm import tqdm

from edge_runtime import kernels
from edge_runtime.kernels import Pattern

PROGRAM = "sample_photo"
CROSS_COMPILER = "aarch64-linux-gnu-gcc"
EMULATOR = "qemu-aarch64"
CPU = "cortex-a72"
GRID = (14, 14)
PATCHES = (25, 49, 98)


def indices(command: list[str], pattern: Pattern, k: int, seeds: int) -> bytes:
    """What the program writes: k indices for each seed from 0, uint16."""
    run = subprocess.run([*command, pattern, str(k), str(seeds)], check=True, capture_output=True)  # noqa: S603
    return run.stdout


def numpy_indices(pattern: Pattern, k: int, seeds: int) -> bytes:
    """The same from the specification."""
    with kernels.use("reference"):
        return b"".join(kernels.sample(pattern, GRID, k, seed).astype("<u2").tobytes() for seed in range(seeds))


def compared(here: Path, arm: Path, pattern: Pattern, k: int, seeds: int) -> str:
    """SHA-256 of the indices; raises SystemExit where NumPy, this CPU and the emulated one differ."""
    expected = numpy_indices(pattern, k, seeds)
    for command in ([str(here)], [EMULATOR, "-cpu", CPU, str(arm)]):
        if indices(command, pattern, k, seeds) != expected:
            raise SystemExit(f"{pattern}, {k} patches: {command[0]} differs from NumPy")
    return hashlib.sha256(expected).hexdigest()


def main() -> None:
    """Compare, print, and write the checksums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="write the checksums to this file")
    parser.add_argument("--seeds", type=int, default=10_000)
    options = parser.parse_args()
    cases: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        here, arm = (build(compiler, PROGRAM, Path(folder)) for compiler in ("gcc", CROSS_COMPILER))
        for pattern, k in tqdm([*itertools.product(kernels.PATTERNS, PATCHES)], desc="cases"):
            digest = compared(here, arm, pattern, k, options.seeds)
            cases.append({"pattern": pattern, "patches": k, "sha256": digest})
    for case in cases:
        print(f"{case['pattern']:13} {case['patches']:3}  {case['sha256'][:16]}")
    print(f"{options.seeds} seeds each: the same in NumPy, on this CPU and on {CPU}")
    if options.json:
        figures = {"cpu": CPU, "grid": GRID, "seeds": options.seeds, "cases": cases}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
