"""The verdict on a run of the suite on another machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "deploy" / "check_suite.py"
COUNTS = "tests/codecs/test_image.py: 2\ntests/test_photos.py: 1\n"
PASSED = '<testcase classname="tests.codecs.test_image.TestBytes" name="one" />'
OTHER = '<testcase classname="tests.codecs.test_image" name="two" />'
PHOTO = '<testcase classname="tests.test_photos" name="three" />'


def judge(folder: Path, cases: str, counts: str = COUNTS) -> subprocess.CompletedProcess[str]:
    """What the program says of these test cases, when a CPU may lack dot product."""
    report, counted = folder / "report.xml", folder / "counts"
    report.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    counted.write_text(counts)
    command = [sys.executable, PROGRAM, report, counted, "this CPU has no dotprod"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_whole_run_passes(tmp_path: Path) -> None:
    """As many tests as counted, one of them skipped for the reason given."""
    skipped = OTHER.replace("/>", '><skipped message="this CPU has no dotprod" /></testcase>')
    done = judge(tmp_path, PASSED + skipped + PHOTO)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("cases", "fault"),
    [
        (PASSED + PHOTO, "tests/codecs/test_image.py: 1 tests, 2 on the development machine"),
        (PASSED + OTHER, "tests/test_photos.py: 0 tests, 1 on the development machine"),
        (
            PASSED + OTHER + PHOTO.replace("/>", '><failure message="no" /></testcase>'),
            "tests.test_photos::three: failure",
        ),
        (PASSED + OTHER + PHOTO.replace("/>", '><error message="no" /></testcase>'), "tests.test_photos::three: error"),
        (
            PASSED + OTHER + PHOTO.replace("/>", '><skipped message="no gcc" /></testcase>'),
            "tests.test_photos::three: skipped, no gcc",
        ),
    ],
)
def test_a_fault_fails_and_is_named(tmp_path: Path, cases: str, fault: str) -> None:
    """In one line."""
    done = judge(tmp_path, cases)
    assert (done.returncode, done.stderr) == (1, f"{fault}\n")


def test_counts_of_nothing_are_no_verdict(tmp_path: Path) -> None:
    """An empty count would let every run pass."""
    assert judge(tmp_path, PASSED, counts="no tests collected").returncode == 1


def test_a_run_that_broke_off_fails(tmp_path: Path) -> None:
    """It leaves no report."""
    command = [sys.executable, PROGRAM, tmp_path / "report.xml", PROGRAM, ""]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
