"""Whether a run on a target was whole: `check_suite.py REPORT.xml COUNTS REASONS`; exits with a line per fault.

COUNTS is what `pytest --collect-only -qq` printed on the development machine: each file, and how many tests it has.
REASONS, a line each, are the only ones for which a test may have been skipped.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path


def faults(report: Path, counts: str, reasons: list[str]) -> list[str]:
    """What failed, was skipped or is missing, a line each."""
    if not report.exists():
        return [f"{report}: was not written, the run broke off"]
    found, present = [], Counter()
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - written by pytest a moment ago
        name = f"{case.get('classname')}::{case.get('name')}"
        module = re.match(r"(\w+\.)*test_\w+", case.get("classname", ""))
        present[module[0] if module else name] += 1
        found += [f"{name}: {kind}" for kind in ("failure", "error") if case.find(kind) is not None]
        skipped = case.find("skipped")
        if skipped is not None and skipped.get("message") not in reasons:
            found.append(f"{name}: skipped, {skipped.get('message')}")
    for file, wanted in re.findall(r"^(tests/\S+)\.py: (\d+)$", counts, re.MULTILINE):
        ran = present[file.replace("/", ".")]
        if ran < int(wanted):
            found.append(f"{file}.py: {ran} tests, {wanted} on the development machine")
    if not present or not re.search(r": \d+$", counts, re.MULTILINE):
        found.append(f"{report}: holds no tests, or {len(counts)} characters of counts do")
    return found


if __name__ == "__main__":
    found = faults(Path(sys.argv[1]), Path(sys.argv[2]).read_text(), sys.argv[3].splitlines())
    sys.exit("\n".join(found) or None)
