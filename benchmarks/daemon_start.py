"""How long the daemon takes to be READY, and what it holds then.

    python benchmarks/daemon_start.py --json benchmarks/results/daemon_start.json

Without any source nothing is loaded: that is what the daemon holds before models. Then with the zoo's bundle, a folder
and the local port. Seconds are this machine's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from daemon_link import NOBODY, SYSTEMS, Setting, source
from daemon_process import DaemonProcess
from tqdm import tqdm

MIB = 1 << 20


def starts(times: int) -> dict[str, Any]:
    """So many starts of each kind, in turn."""
    bundle, system = SYSTEMS["attention"]
    ready: dict[str, list[float]] = {"without models": [], "zoo": []}
    resident: dict[str, list[float]] = {"without models": [], "zoo": []}
    for _ in tqdm(range(times), unit="start", leave=False):
        for kind in ready:
            with tempfile.TemporaryDirectory() as folder:
                setting = Setting(Path(folder), NOBODY)
                tables = source("posted", bundle, system)
                tables += source("watched", bundle, system, "folder", f'path = "{folder}/in"')
                with DaemonProcess(setting.config(tables if kind == "zoo" else "")) as daemon:
                    ready[kind].append(daemon.ready_s)
                    resident[kind].append(daemon.figures().resident / MIB)
    return {
        kind: {
            "times": times,
            "ready_s": float(np.median(ready[kind])),
            "slowest_s": max(ready[kind]),
            "resident_mib": float(np.median(resident[kind])),
            "largest_mib": max(resident[kind]),
        }
        for kind in ready
    }


def main() -> None:
    """Run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = starts(options.times)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
