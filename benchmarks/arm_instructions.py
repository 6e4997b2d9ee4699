"""Counts the instructions of every kernel on emulated cores, and compares them with the recorded ones.

    python benchmarks/arm_instructions.py [--record] [--json FILE]

Needs gcc, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user. A typical call of each public kernel, and each
stage of the feature coder, runs once per instruction set; its instructions are counted exactly, start-up left out, so
the same compiler gives the same number every time. They are no time, which an emulator cannot tell. Exits 1, with a
line each, when one needs over 2 % more than recorded, or has lost a set that was recorded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from emulation import CSRC, FLAGS, build
from result_files import RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RECORDED = RESULTS / "instructions.json"
ALLOWANCE = 0.02
PROGRAM = "run_kernels"
CASES = ("bench/*cases.c", "bench/scene.c", "bench/stages.c", "bench/synthetic.c")
# Without the string instructions of a server, which an emulator counts once for every repetition.
HASWELL = "Haswell,-erms"


@dataclass(frozen=True)
class Machine:
    """A compiler, an emulator, and which of its CPUs runs each instruction set."""

    name: str
    compiler: str
    emulator: str
    cpus: dict[str, str]

    def version(self) -> str:
        """The compiler's first line about itself."""
        command = [self.compiler, "--version"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]  # noqa: S603

    def run(self, cpu: str, *command: str | Path) -> list[str]:
        """The lines that a program writes on an emulated CPU."""
        full = [self.emulator, "-cpu", cpu, *command]
        return subprocess.run(full, check=True, capture_output=True, text=True).stdout.splitlines()  # noqa: S603


MACHINES = (
    Machine("x86-64", "x86_64-linux-gnu-gcc", "qemu-x86_64", {"scalar": HASWELL, "avx2": HASWELL}),
    Machine(
        "aarch64",
        "aarch64-linux-gnu-gcc",
        "qemu-aarch64",
        {"scalar": "cortex-a72", "neon": "cortex-a72", "dotprod": "cortex-a76"},
    ),
)


class Counts(msgspec.Struct, frozen=True):
    """Instructions of one call by kernel, then by machine and set ("aarch64 neon"); what was compiled with what."""

    compilers: dict[str, str]
    kernels: dict[str, dict[str, int]]

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """Every kernel, set and count."""
        return ((kernel, isa, count) for kernel, row in self.kernels.items() for isa, count in row.items())

    def at(self, kernel: str, isa: str) -> int | None:
        """One count, None without it."""
        return self.kernels.get(kernel, {}).get(isa)


def build_plugin(folder: Path) -> Path:
    """The emulators' counter."""
    plugin = folder / "count_instructions.so"
    source = CSRC / "emulation" / "count_instructions.c"
    subprocess.run(["gcc", "-std=c11", "-O2", "-shared", "-fPIC", source, "-o", plugin], check=True)  # noqa: S603, S607
    return plugin


def count_set(machine: Machine, program: Path, plugin: Path, isa: str) -> dict[str, int]:
    """Instructions of one call of every kernel; those of an empty call are taken off."""
    log = program.with_suffix(".counts")
    counting = ["-plugin", plugin, "-d", "plugin", "-D", log]
    names = machine.run(machine.cpus[isa], *counting, program, isa)
    empty, *counts = map(int, log.read_text().split())
    return {name: count - empty for name, count in zip(names[1:], counts, strict=True)}


def count_machine(machine: Machine, folder: Path, flags: Iterable[str] = FLAGS) -> Counts:
    """Every kernel in every set that the build offers on its CPU."""
    program, plugin = build(machine.compiler, PROGRAM, folder, extra=CASES, flags=flags), build_plugin(folder)
    kernels: dict[str, dict[str, int]] = {}
    compiler = ""
    for isa, cpu in machine.cpus.items():
        library, *offered = machine.run(cpu, program)
        compiler = f"{machine.version()}, {library}"
        if isa in offered:
            for kernel, count in count_set(machine, program, plugin, isa).items():
                kernels.setdefault(kernel, {})[f"{machine.name} {isa}"] = count
    return Counts({machine.name: compiler}, kernels)


def joined(parts: Iterable[Counts]) -> Counts:
    """The counts of several machines."""
    compilers: dict[str, str] = {}
    kernels: dict[str, dict[str, int]] = {}
    for part in parts:
        compilers |= part.compilers
        for kernel, isa, count in part:
            kernels.setdefault(kernel, {})[isa] = count
    return Counts(compilers, kernels)


def refuse_other_compilers(recorded: Counts, counted: Counts) -> None:
    """Raises SystemExit where counts were not made by the same compiler: it chooses the instructions."""
    for machine, compiler in counted.compilers.items():
        before = recorded.compilers.get(machine)
        if before != compiler:
            raise SystemExit(
                f"{machine}: recorded with {before}, this is {compiler}: nothing was compared; record anew on this "
                "compiler (make count-aarch64 RECORD=1), first on the commit to compare with"
            )


def worse(recorded: Counts, counted: Counts) -> list[str]:
    """A line for each kernel that needs more than is allowed, or has lost a set."""
    lines = []
    for kernel, isa, before in recorded:
        now = counted.at(kernel, isa)
        if now is None:
            lines.append(f"{kernel}, {isa}: not counted any more, recorded are {before:,} instructions")
        elif now > before * (1 + ALLOWANCE):
            lines.append(_change(kernel, isa, before, now))
    return lines


def changed(recorded: Counts, counted: Counts) -> list[str]:
    """A line for each count that is another one, or new."""
    lines = []
    for kernel, isa, now in counted:
        before = recorded.at(kernel, isa)
        if before is None:
            lines.append(f"{kernel}, {isa}: new, {now:,} instructions")
        elif before != now:
            lines.append(_change(kernel, isa, before, now))
    return lines


def _change(kernel: str, isa: str, before: int, now: int) -> str:
    return f"{kernel}, {isa}: {now:,} instructions instead of {before:,}, {now / before - 1:+.1%}"


def print_table(counts: Counts) -> None:
    """A line for each kernel; the last column is the best ARM set over the scalar source on ARM."""
    isas = [f"{machine.name} {isa}" for machine in MACHINES for isa in machine.cpus]
    print(f"{'kernel':22}", *(f"{isa:>15}" for isa in isas), f"{'best ÷ scalar':>15}")
    for kernel, row in counts.kernels.items():
        cells = (f"{row[isa]:15,}" if isa in row else f"{'-':>15}" for isa in isas)
        best = min(count for isa, count in row.items() if isa.startswith("aarch64"))
        print(f"{kernel:22}", *cells, f"{best / row['aarch64 scalar']:15.2f}")


def main() -> None:
    """Count, print, and compare or record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--record", action="store_true", help="replace the recorded counts, and say what changed")
    parser.add_argument("--json", type=Path, default=RECORDED, help="the file of recorded counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counted = joined(count_machine(machine, Path(folder)) for machine in MACHINES)
    print_table(counted)
    if not options.json.exists() and not options.record:
        raise SystemExit(f"{options.json}: no counts were recorded; make count-aarch64 RECORD=1 records these")
    recorded = msgspec.json.decode(options.json.read_bytes(), type=Counts) if options.json.exists() else Counts({}, {})
    if options.record:
        options.json.write_text(json.dumps(msgspec.to_builtins(counted), indent=2) + "\n", encoding="utf-8")
        print("\n".join(["recorded", *changed(recorded, counted)]))
        return
    refuse_other_compilers(recorded, counted)
    found = worse(recorded, counted)
    if found:
        raise SystemExit("\n".join(found))
    print("\n".join([*changed(recorded, counted), f"no kernel needs over {ALLOWANCE:.0%} more than recorded"]))


if __name__ == "__main__":
    main()
