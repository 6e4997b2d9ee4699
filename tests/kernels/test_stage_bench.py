"""The benchmarks that are written in C alone."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.host  # compilers

CSRC = Path(__file__).resolve().parents[2] / "csrc"
FLAGS = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-ffp-contract=off", f"-I{CSRC}"]
# Compiler, and what it needs to run its programs here.
MACHINES = {"gcc": [], "aarch64-linux-gnu-gcc": ["qemu-aarch64"], "arm-linux-gnueabihf-gcc": ["qemu-arm"]}
PROGRAMS = ("bench_features", "bench_kernels")


@pytest.fixture(scope="module", params=MACHINES)
def machine(request, tmp_path_factory):
    """Both programs, built without warnings, each as a command to run it by."""
    compiler, emulator = request.param, MACHINES[request.param]
    if not all(map(shutil.which, [compiler, *emulator])):
        pytest.skip(f"needs {compiler}, its libc and qemu-user")
    folder = tmp_path_factory.mktemp("bench")
    sources = [path for pattern in ("*.c", "x86/*.c", "arm/*.c", "bench/*.c") for path in sorted(CSRC.glob(pattern))]
    subprocess.run([compiler, *FLAGS, "-c", *sources], check=True, cwd=folder)
    shared = [path for path in folder.glob("*.o") if path.stem not in (*PROGRAMS, "stream")]
    for program in PROGRAMS:
        subprocess.run([compiler, "-static", folder / f"{program}.o", *shared, "-o", folder / program], check=True)
    return {program: [*emulator, folder / program] for program in PROGRAMS}


def test_kernels_are_measured_in_every_set(machine):
    """Each with the same bytes and operations, the fastest first, in figures that fit together."""
    command = [*machine["bench_kernels"], "--json", "--only", "pack_bitmap"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    rows = found["kernels"]

    assert {row["kernel"] for row in rows} == {"pack_bitmap", "unpack_bitmap"}
    assert "scalar" in {row["isa"] for row in rows}
    assert len({row["bytes"] for row in rows}) == 1
    medians = [row["p50_us"] for row in rows if row["kernel"] == "pack_bitmap"]
    assert medians == sorted(medians)
    for row in rows:
        assert 0 < row["p50_us"] <= row["p95_us"]
        assert row["bytes_per_second"] == pytest.approx(1e6 * row["bytes"] / row["p50_us"], rel=0.01)
        assert row["share_of_copy"] > 0


def test_one_set_is_measured_alone(machine):
    """By its name, as text."""
    command = [*machine["bench_kernels"], "--isa", "scalar", "--only", "select_random"]
    head, row = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    assert head.split()[:2] == ["kernel", "set"]
    assert row.split()[:2] == ["select_random", "scalar"]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--isa", "sse9"], 3, "this CPU or build has no sse9"),
        (["--only", "matmul"], 1, 'no kernel has "matmul" in its name'),
        (["--fast"], 2, "usage: "),
    ],
)
def test_what_is_not_there_is_named(machine, options, status, message):
    """One line on standard error."""
    run = subprocess.run([*machine["bench_kernels"], *options], capture_output=True, text=True, check=False)

    assert run.returncode == status
    assert message in run.stderr


def test_no_part_of_it_is_in_the_extension():
    """Its sources are in a folder that the extension is not built from."""
    assert "bench" not in (CSRC / "build_kernels.py").read_text()
