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
from typing import TYPE_CHECKING, Any

import numpy as np
from cffi import FFI
from kernels import Rival, race, run_single_threaded
from result_files import ROOT

from edge_runtime.kernels import limits

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = ROOT / "csrc" / "bench" / "stream.c"
# A loop that the compiler knew for a memcpy would be the same function on both sides.
FLAGS = ("-std=c11", "-O3", "-march=native", "-ffp-contract=fast", "-fno-tree-loop-distribute-patterns", "-Wall")
DECLARATIONS = """
void stream_copy(const float *from, float *to, size_t count, size_t times);
void stream_triad(const float *a, const float *b, float scale, float *out, size_t count, size_t times);
size_t stream_floats(const float *in, float *out, size_t count, size_t times);
"""
SIZES = {"in cache": (1 << 14, 200), "beyond": (1 << 24, 1)}
"""Floats of each array, and how often a call goes over them."""
FEW = 1 << 10, 200
"""The same for floats that stay in the first-level cache."""


def build(folder: Path) -> tuple[FFI, Any]:
    """The plain loops."""
    ffi, library = FFI(), folder / "stream.so"
    ffi.cdef(DECLARATIONS)
    subprocess.run(["gcc", *FLAGS, "-shared", "-fPIC", SOURCE, "-o", library], check=True)  # noqa: S603, S607
    return ffi, ffi.dlopen(str(library))


def compared(ours: Callable[[], Any], plain: Callable[[], Any], more_work: float, rounds: int) -> dict[str, Any]:
    """Ours per second over the plain loop's, where one of our calls does `more_work` times the plain one's."""
    times = race([Rival("ours", ours), Rival("plain", plain)], rounds)["plain"]
    return {"ratio": round(times["ratio"] * more_work, 3), "spread": [round(s * more_work, 3) for s in times["spread"]]}


def memory(ffi: FFI, plain: Any, count: int, times: int, rounds: int) -> dict[str, Any]:
    """Copy and triad over arrays of `count` floats."""
    a, b, out = (np.ones(count, np.float32) for _ in range(3))
    pa, pb, po = (ffi.from_buffer("float[]", array) for array in (a, b, out))
    return {
        "copy": compared(
            lambda: limits.copy(a, out, times), lambda: plain.stream_copy(pa, po, count, times), 1, rounds
        ),
        "triad": compared(
            lambda: limits.triad(a, b, out, times), lambda: plain.stream_triad(pa, pb, 3.0, po, count, times), 1, rounds
        ),
    }


def multiply_adds(ffi: FFI, plain: Any, rounds: int) -> dict[str, Any] | None:
    """Floats; None where our side has no loop."""
    count, times = FEW
    values, out = np.full(count, 0.5, np.float32), np.empty(count, np.float32)
    arguments = ffi.from_buffer("float[]", values), ffi.from_buffer("float[]", out), count, times
    more_work = limits.floats() / plain.stream_floats(*arguments)
    return compared(limits.floats, lambda: plain.stream_floats(*arguments), more_work, rounds) if more_work else None


def ceilings(ffi: FFI, plain: Any, rounds: int) -> dict[str, Any]:
    """Memory at both sizes, and arithmetic."""
    found = {
        f"{name}, {size}": row
        for size, (count, times) in SIZES.items()
        for name, row in memory(ffi, plain, count, times, rounds).items()
    }
    floats = multiply_adds(ffi, plain, rounds)
    return found | ({"float multiply-adds": floats} if floats else {})


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
