"""The C sources themselves: warnings, sanitizers, and the same bytes on another CPU."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-ffp-contract=off", f"-I{CSRC}"]
SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ROUNDS = ["7", "2000"]

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")


def build(compiler: str, flags: list[str], target: Path) -> str:
    """The fuzz driver with every kernel."""
    sources = [str(path) for pattern in ("*.c", "x86/*.c", "fuzz/*.c") for path in sorted(CSRC.glob(pattern))]
    subprocess.run([compiler, *FLAGS, *flags, *sources, "-o", str(target)], check=True)
    return str(target)


def checksums(*command: str) -> str:
    """What the driver printed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def scalar(tmp_path_factory):
    """Checksums of the scalar kernels."""
    driver = build("gcc", ["-O3"], tmp_path_factory.mktemp("native") / "fuzz")
    return driver, checksums(driver, *ROUNDS, "scalar")


def test_sanitizers_find_nothing(scalar, tmp_path):
    """Random sizes and bytes under AddressSanitizer and UndefinedBehaviorSanitizer, and unoptimised bytes equal."""
    driver = build("gcc", SANITIZERS, tmp_path / "fuzz")

    assert scalar[1] == checksums(driver, *ROUNDS)


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
@pytest.mark.skipif(platform.machine() != "x86_64", reason="an x86-64 instruction set")
def test_vectors_have_the_bytes_of_scalar(scalar, isa):
    """Every family."""
    result = subprocess.run([scalar[0], *ROUNDS, isa], capture_output=True, text=True, check=False)
    if result.returncode == 3:
        pytest.skip(f"this CPU has no {isa}")

    assert scalar[1] == result.stdout


@pytest.mark.parametrize("optimisation", ["-O0", "-O3"])
@pytest.mark.skipif(
    not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64")),
    reason="needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user",
)
def test_arm_has_the_bytes_of_x86(scalar, tmp_path, optimisation):
    """Scalar code (-O0) and NEON code (-O3) on an emulated Cortex-A72."""
    driver = build("aarch64-linux-gnu-gcc", [optimisation, "-static"], tmp_path / "fuzz")

    assert scalar[1] == checksums("qemu-aarch64", "-cpu", "cortex-a72", driver, *ROUNDS)
