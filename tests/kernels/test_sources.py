"""The C sources themselves: warnings, sanitizers, and the same bytes on another CPU."""

import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-ffp-contract=off", f"-I{CSRC}"]
SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ROUNDS = {"fuzz_kernels": 2000, "fuzz_features": 400, "fuzz_latents": 2000}
# Emulated CPUs with every set that they have: the first has no dot products.
ARM = [
    ("cortex-a72", "scalar"),
    ("cortex-a72", "neon"),
    ("cortex-a76", "scalar"),
    ("cortex-a76", "neon"),
    ("cortex-a76", "dotprod"),
]
# Where the cross compiler's libraries lie, for programs that are not static.
ARM_LIBRARIES = "/usr/aarch64-linux-gnu"

pytestmark = [pytest.mark.host, pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")]
needs_emulator = pytest.mark.skipif(
    not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64")),
    reason="needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user",
)


def build(compiler: str, flags: list[str], folder: Path) -> dict[str, Path]:
    """The fuzz drivers by name, each with every kernel, which are compiled once."""
    command = [compiler, *FLAGS, *flags]
    sources = [source for pattern in ("*.c", "x86/*.c", "arm/*.c") for source in sorted(CSRC.glob(pattern))]
    subprocess.run([*command, "-c", *sources], check=True, cwd=folder)
    objects = sorted(folder.glob("*.o"))
    for driver in ROUNDS:
        subprocess.run([*command, CSRC / "fuzz" / f"{driver}.c", *objects, "-o", folder / driver], check=True)
    return {driver: folder / driver for driver in ROUNDS}


def checksums(drivers: dict[str, Path], *runner: str, isa: str | None = None, part: int = 1) -> dict[str, str]:
    """What each driver printed, after its rounds or a part of them, with the best set or the one that is named."""
    results = {}
    for name, driver in drivers.items():
        command = [*runner, driver, "7", str(ROUNDS[name] // part), *([isa] if isa else [])]
        results[name] = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return results


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The optimised drivers for this CPU."""
    return build("gcc", ["-O3"], tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def best(native):
    """Checksums of the kernels that this CPU runs."""
    return checksums(native)


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    """The optimised drivers for 64-bit ARM."""
    return build("aarch64-linux-gnu-gcc", ["-O3", "-static"], tmp_path_factory.mktemp("arm"))


@pytest.fixture(scope="module")
def sanitized_arm(tmp_path_factory):
    """The drivers for 64-bit ARM that watch themselves."""
    return build("aarch64-linux-gnu-gcc", SANITIZERS, tmp_path_factory.mktemp("sanitized_arm"))


def test_sanitizers_find_nothing(best, tmp_path):
    """Random sizes and bytes under AddressSanitizer and UndefinedBehaviorSanitizer, and unoptimised bytes equal."""
    assert best == checksums(build("gcc", SANITIZERS, tmp_path))


def test_every_instruction_set_has_the_same_bytes(native, best, isa):
    """Every family."""
    assert best == checksums(native, isa=isa)


@needs_emulator
@pytest.mark.parametrize(("cpu", "isa"), ARM)
def test_arm_has_the_bytes_of_this_cpu(arm, best, cpu, isa):
    """Every instruction set, on emulated CPUs."""
    assert best == checksums(arm, "qemu-aarch64", "-cpu", cpu, isa=isa)


@needs_emulator
@pytest.mark.parametrize(("cpu", "isa"), [("cortex-a72", "neon"), ("cortex-a76", "dotprod")])
def test_sanitizers_find_nothing_on_arm(native, sanitized_arm, cpu, isa):
    """Vectors read and write inside their arrays; a part of the rounds, because emulation is slow."""
    # The search for leaks wants to trace the program, which the emulator does not allow; it is made without one.
    runner = ["env", "ASAN_OPTIONS=detect_leaks=0", "qemu-aarch64", "-L", ARM_LIBRARIES, "-cpu", cpu]

    assert checksums(native, part=10) == checksums(sanitized_arm, *runner, isa=isa, part=10)


@needs_emulator
def test_dot_products_are_refused_where_there_are_none(arm):
    """Rather than run into a missing instruction."""
    command = ["qemu-aarch64", "-cpu", "cortex-a72", arm["fuzz_kernels"], "7", "1", "dotprod"]

    assert subprocess.run(command, capture_output=True, check=False).returncode == 3
