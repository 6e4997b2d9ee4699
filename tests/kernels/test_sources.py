"""The C sources themselves: warnings, sanitizers, and the same bytes on another CPU."""

import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-ffp-contract=off", f"-I{CSRC}"]
SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ROUNDS = {"fuzz_kernels": ["7", "2000"], "fuzz_features": ["7", "400"], "fuzz_latents": ["7", "2000"]}

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")


def build(compiler: str, flags: list[str], folder: Path) -> dict[str, Path]:
    """The fuzz drivers by name, each with every kernel, which are compiled once."""
    command = [compiler, *FLAGS, *flags]
    sources = [source for pattern in ("*.c", "x86/*.c", "arm/*.c") for source in sorted(CSRC.glob(pattern))]
    subprocess.run([*command, "-c", *sources], check=True, cwd=folder)
    objects = sorted(folder.glob("*.o"))
    for driver in ROUNDS:
        subprocess.run([*command, CSRC / "fuzz" / f"{driver}.c", *objects, "-o", folder / driver], check=True)
    return {driver: folder / driver for driver in ROUNDS}


def checksums(drivers: dict[str, Path], *runner: str) -> dict[str, str]:
    """What each driver printed."""
    return {
        name: subprocess.run([*runner, driver, *ROUNDS[name]], check=True, capture_output=True, text=True).stdout
        for name, driver in drivers.items()
    }


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The optimised drivers for this CPU."""
    return build("gcc", ["-O3"], tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def best(native):
    """Checksums of the kernels that this CPU runs."""
    return checksums(native)


def test_sanitizers_find_nothing(best, tmp_path):
    """Random sizes and bytes under AddressSanitizer and UndefinedBehaviorSanitizer, and unoptimised bytes equal."""
    assert best == checksums(build("gcc", SANITIZERS, tmp_path))


@pytest.mark.parametrize("driver", ROUNDS)
@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512"])
def test_every_instruction_set_has_the_same_bytes(native, best, driver, isa):
    """Every family."""
    result = subprocess.run([native[driver], *ROUNDS[driver], isa], capture_output=True, text=True, check=False)
    if result.returncode == 3:
        pytest.skip(f"this CPU has no {isa}")

    assert best[driver] == result.stdout


@pytest.mark.parametrize("optimisation", ["-O0", "-O3"])
@pytest.mark.skipif(
    not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64")),
    reason="needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user",
)
def test_arm_has_the_bytes_of_x86(best, tmp_path, optimisation):
    """Scalar code (-O0) and NEON code (-O3) on an emulated Cortex-A72."""
    drivers = build("aarch64-linux-gnu-gcc", [optimisation, "-static"], tmp_path)

    assert best == checksums(drivers, "qemu-aarch64", "-cpu", "cortex-a72")
