"""Checks the ceilings that profiles are held against, csrc/limits.c, beside plain loops that the compiler vectorises.

    python benchmarks/ceilings.py [--json FILE] [--rounds N]

Needs gcc. Both run in turns in one process, ours with the best instruction set of this CPU. A figure is ours over the
plain loop's per second, the ratio of medians, with the 10 % and 90 % quantiles of single rounds. Well above 1 is a
plain loop that the compiler did not do well; well below 1 is a ceiling that is none.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI
from kernels import Rival, race, run_single_threaded
from result_files import ROOT

from edge_runtime.kernels import limits

SOURCE = ROOT / "csrc" / "bench" / "stream.c"
# A loop that the compiler knew for a memcpy would be the same function on both sides.
FLAGS = ("-std=c11", "-O3", "-march=native", "-ffp-contract=fast", "-fno-tree-loop-distribute-patterns", "-Wall")
DECLARATIONS = """
void stream_copy(const float *from, float *to, size_t count);
void stream_triad(const float *a, const float *b, float scale, float *out, size_t count);
size_t stream_floats(const float *in, float *out, size_t count);
"""
SIZES = {"in cache": 1 << 14, "beyond": 1 << 24}
"""Floats of each array."""
FEW = 1 << 10
"""Floats that stay in the first-level cache."""


def build(folder: Path) -> tuple[FFI, Any]:
    """The plain loops."""
    ffi, library = FFI(), folder / "stream.so"
    ffi.cdef(DECLARATIONS)
    subprocess.run(["gcc", *FLAGS, "-shared", "-fPIC", SOURCE, "-o", library], check=True)  # noqa: S603, S607
    return ffi, ffi.dlopen(str(library))


def compared(ours: Rival, plain: Rival, more_work: float, rounds: int) -> dict[str, Any]:
    """Ours per second over the plain loop's, where one of our calls does `more_work` times the plain one's."""
    times = race([ours, plain], rounds)[plain.name]
    return {"ratio": round(times["ratio"] * more_work, 3), "spread": [round(s * more_work, 3) for s in times["spread"]]}


def ceilings(ffi: FFI, plain: Any, rounds: int) -> dict[str, Any]:
    """Copy and triad at both sizes, and multiply-adds."""
    found = {}
    for size, count in SIZES.items():
        a, b, out = (np.ones(count, np.float32) for _ in range(3))
        pa, pb, po = (ffi.from_buffer("float[]", array) for array in (a, b, out))
        pairs = {
            "copy": (lambda: limits.copy(a, out, 1), lambda: plain.stream_copy(pa, po, count)),  # noqa: B023
            "triad": (lambda: limits.triad(a, b, out, 1), lambda: plain.stream_triad(pa, pb, 3.0, po, count)),  # noqa: B023
        }
        for name, (our_call, plain_call) in pairs.items():
            found[f"{name}, {size}"] = compared(Rival("ours", our_call), Rival("plain", plain_call), 1, rounds)
    values, out = np.full(FEW, 0.5, np.float32), np.empty(FEW, np.float32)
    pv, po = ffi.from_buffer("float[]", values), ffi.from_buffer("float[]", out)
    more_work = limits.floats() / plain.stream_floats(pv, po, FEW)
    if more_work:
        plain_floats = Rival("plain", lambda: plain.stream_floats(pv, po, FEW))
        found["float multiply-adds"] = compared(Rival("ours", limits.floats), plain_floats, more_work, rounds)
    return found


def main() -> None:
    """Compare, print, and write the figures."""
    run_single_threaded()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--rounds", type=int, default=41)
    options = parser.parse_args()
    isa = importlib.import_module("edge_runtime.kernels.native").info().isa
    with tempfile.TemporaryDirectory() as folder:
        found = ceilings(*build(Path(folder)), options.rounds)
    for name, row in found.items():
        print(f"{name:22} × {row['ratio']:.3f}  ({row['spread'][0]:.3f} to {row['spread'][1]:.3f})")
    if options.json:
        figures = {"isa": isa, "flags": FLAGS, "rounds": options.rounds, "ceilings": found}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
