"""Whether `edge-runtime profile` can gate: does it repeat, does it see 20 % more work, does it see ghosts?

    python benchmarks/profile_repeats.py [--runs N] [--seconds S] [--json FILE]

Profiles the kernels in fresh processes. Each run is compared with the one before it: whatever is flagged is a false
alarm. Then, in a run for each of some kernels, a fifth of its work is done twice, by a wrapper around its case, and the
run compared with those without: where it is not flagged, it was missed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernels import fingerprint

from edge_runtime.profiling import compare, kernel_cases, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.profiling.kernel_cases import KernelCase

BACKENDS = "native"
PLANTED = ("gate 224×224, 1000 classes", "feature encode 40×28×28", "normalise 224×224", "rans_decode of 4096")
EVERY = 5


def slowed(case: KernelCase) -> KernelCase:
    """The same case, every fifth call of which is made twice."""

    def make() -> Callable[[], Any]:
        call, turns = case.make(), itertools.cycle(range(EVERY))

        def planted() -> Any:
            if next(turns) == 0:
                call()
            return call()

        return planted

    return case._replace(make=make)


def profile_here(out: Path, planted: str, seconds: float) -> None:
    """Profile in this process, with one slower kernel if that is to be planted."""
    from edge_runtime.cli import main
    from edge_runtime.profiling import kernel_rows

    if planted:
        cases = [slowed(case) if case.name == planted else case for case in kernel_cases.kernel_cases()]
        kernel_rows.kernel_cases = lambda: cases
    options = ["profile", "--kernels-only", "--only", BACKENDS, "--seconds", str(seconds), "--out", str(out)]
    raise SystemExit(main(options))


def profiled(seconds: float, planted: str = "") -> report.Profile:
    """One run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "profile.json"
        command = [sys.executable, __file__, "--out", str(out), "--seconds", str(seconds), "--planted", planted]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        return report.load(out)


def repeats(runs: list[report.Profile]) -> dict[str, Any]:
    """What consecutive runs of the same program say of each other."""
    pairs = [compare.compare(old, new) for old, new in itertools.pairwise(runs)]
    ratios = [verdict.ratio for pair in pairs for verdict in pair.verdicts if verdict.ratio]
    alarms = [verdict.key for pair in pairs for verdict in pair.verdicts if verdict.judgement in ("slower", "faster")]
    return {
        "comparisons": len(pairs),
        "rows": len(ratios),
        "median_ratio_of_runs": [round(pair.ratio or 0, 4) for pair in pairs],
        "rows_within_10_percent": round(statistics.mean(abs(ratio - 1) <= compare.TOLERANCE for ratio in ratios), 4),
        "tolerances": [round(pair.tolerance, 3) for pair in pairs],
        "false_alarms": alarms,
    }


def seen(runs: list[report.Profile], slower: str, planted: report.Profile) -> dict[str, Any]:
    """What is flagged of the rows of the kernel that was slowed, and of the others, against each run without."""
    pairs = [compare.compare(run, planted) for run in runs]
    wanted = [verdict for pair in pairs for verdict in pair.verdicts if verdict.key.startswith(slower)]
    others = [verdict for pair in pairs for verdict in pair.verdicts if not verdict.key.startswith(slower)]
    return {
        "kernel": slower,
        "rows": len(wanted),
        "flagged": sum(verdict.judgement == "slower" for verdict in wanted),
        "ratios": sorted(round(verdict.ratio or 0, 3) for verdict in wanted),
        "false_alarms": [verdict.key for verdict in others if verdict.judgement in ("slower", "faster")],
        "tolerances": [round(pair.tolerance, 3) for pair in pairs],
    }


def main() -> None:
    """Run everything and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each profile")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--planted", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.out:
        profile_here(options.out, options.planted, options.seconds)
    start = time.perf_counter()
    runs = [profiled(options.seconds) for _ in range(options.runs)]
    figures = {
        "machine": fingerprint(),
        "seconds_of_each": options.seconds,
        "repeats": repeats(runs),
        "planted": [seen(runs, kernel, profiled(options.seconds, kernel)) for kernel in PLANTED],
        "took_s": round(time.perf_counter() - start),
    }
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
