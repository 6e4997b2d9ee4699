"""Samples photos on an emulated ARM core: the same patches as here and in NumPy? How many instructions?

    python benchmarks/arm_sampling.py [--json FILE] [--seeds N]

Needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user. Instruction counts are exact and repeat; they are no
time, which an emulator cannot tell.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from edge_runtime import kernels
from edge_runtime.kernels import Pattern

CSRC = Path(__file__).resolve().parents[1] / "csrc"
# As the extension is built.
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-psabi", "-static", f"-I{CSRC}"]
CROSS_COMPILER = "aarch64-linux-gnu-gcc"
EMULATOR = "qemu-aarch64"
CPU = "cortex-a72"
GRID = (14, 14)
PATCHES = (25, 49, 98)
# One instruction a block, under both of the names that QEMU had for it, so that its trace of blocks counts them.
ONE_INSTRUCTION = {"QEMU_SINGLESTEP": "1", "QEMU_ONE_INSN_PER_TB": "1"}
# The program's own functions: what runs between two of their instructions is a kernel they called.
OWN = ("main", "sample")


def build(compiler: str, folder: Path) -> Path:
    """The program that samples photos, with every kernel."""
    program = folder / f"sample_photo-{compiler}"
    sources = [*CSRC.glob("*.c"), *CSRC.glob("x86/*.c"), *CSRC.glob("arm/*.c"), CSRC / "emulation" / "sample_photo.c"]
    subprocess.run([compiler, *FLAGS, *sources, "-o", program], check=True)  # noqa: S603
    return program


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


def instructions(arm: Path, pattern: Pattern, k: int) -> dict[str, int]:
    """How many the emulated core executes to sample a photo of 224 × 224 pixels, and to gather its patches."""
    trace = arm.with_suffix(".trace")
    command = [EMULATOR, "-cpu", CPU, "-d", "exec,nochain", "-D", trace, arm, pattern, str(k), "1"]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | ONE_INSTRUCTION)  # noqa: S603
    functions = [line.split()[-1] for line in trace.read_text().splitlines() if line.startswith("Trace")]
    kernel = "edge_select_random" if pattern == "random" else "edge_sample_grid"
    return {"sample": _within(functions, kernel), "gather": _within(functions, "edge_gather")}


def _within(functions: list[str], kernel: str) -> int:
    """Instructions from a kernel's first until it returns, those of what it calls included."""
    start = functions.index(kernel)
    return next(i for i, function in enumerate(functions[start:]) if function in OWN)


def main() -> None:
    """Compare, count, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seeds", type=int, default=10_000)
    options = parser.parse_args()
    cases: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        here, arm = build("gcc", Path(folder)), build(CROSS_COMPILER, Path(folder))
        for pattern, k in tqdm([*itertools.product(kernels.PATTERNS, PATCHES)], desc="cases"):
            digest = compared(here, arm, pattern, k, options.seeds)
            cases.append({"pattern": pattern, "patches": k, "sha256": digest, **instructions(arm, pattern, k)})
    for case in cases:
        print(f"{case['pattern']:13} {case['patches']:3}  {case['sha256'][:16]}  ", end="")
        print(f"sample {case['sample']:6} instructions, gather {case['gather']:6}")
    print(f"{options.seeds} seeds each: the same in NumPy, on this CPU and on {CPU}")
    if options.json:
        figures = {"cpu": CPU, "grid": GRID, "seeds": options.seeds, "cases": cases}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
