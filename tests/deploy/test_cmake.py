"""The kernels as a C library: built by CMake, found by pkg-config, used by the example, here and on emulated ARM."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from edge_runtime import kernels

ROOT = Path(__file__).parents[2]
SIDE, PATCH = 224, 16

pytestmark = pytest.mark.host


class Machine(NamedTuple):
    """A toolchain file of ``deploy/cmake`` without its suffix, its compiler, and the command that runs its programs."""

    toolchain: str
    compiler: str
    runner: tuple[str, ...]


MACHINES = {
    "here": Machine("", "cc", ()),
    "aarch64": Machine("aarch64-linux-gnu", "aarch64-linux-gnu-gcc", ("qemu-aarch64", "-cpu", "cortex-a72")),
    "aarch64 with dot product": Machine(
        "aarch64-linux-gnu", "aarch64-linux-gnu-gcc", ("qemu-aarch64", "-cpu", "cortex-a76")
    ),
    "armv7l": Machine("armv7l-linux-gnueabihf", "arm-linux-gnueabihf-gcc", ("qemu-arm", "-cpu", "cortex-a7")),
}


@pytest.fixture(params=MACHINES, scope="module")
def machine(request: pytest.FixtureRequest) -> Machine:
    """Each machine whose tools are here."""
    found = MACHINES[request.param]
    missing = [tool for tool in ("cmake", "pkg-config", found.compiler, *found.runner[:1]) if not shutil.which(tool)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    return found


@pytest.fixture(scope="module")
def installed(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix into which ``cmake --install`` put the library."""
    folder = tmp_path_factory.mktemp("cmake")
    build, prefix = folder / "build", folder / "prefix"
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={ROOT / 'deploy' / 'cmake' / f'{machine.toolchain}.cmake'}"
    configure = ["cmake", "-S", ROOT / "csrc", "-B", build, "-DCMAKE_C_FLAGS=-Werror", "-DCMAKE_INSTALL_LIBDIR=lib"]
    run(*configure, *([toolchain] if machine.toolchain else []))
    run("cmake", "--build", build, "--parallel", "2")
    run("cmake", "--install", build, "--prefix", prefix)
    return prefix


@pytest.mark.parametrize("linking", ["static", "shared"])
def test_the_example_packs_what_the_kernels_pack(
    machine: Machine, installed: Path, linking: str, tmp_path: Path
) -> None:
    """Compiled with what pkg-config says, it writes the bitmap and patches of `edge_runtime.kernels.Gate`."""
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    picture, program = tmp_path / "picture.ppm", tmp_path / "gate_frame"
    picture.write_bytes(b"P6\n%d %d\n255\n" % (SIDE, SIDE) + image.tobytes())
    found = run("pkg-config", "--cflags", "--libs", "edge_kernels", PKG_CONFIG_PATH=str(installed / "lib/pkgconfig"))
    words = found.decode().split()
    link = ["-static"] if linking == "static" else [f"-Wl,-rpath,{installed / 'lib'}"]
    source = ROOT / "csrc" / "example" / "gate_frame.c"
    run(machine.compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", source, *words, *link, "-o", program)
    system = f"/usr/{machine.compiler.removesuffix('-gcc')}"
    assert packed(image) == run(*machine.runner, program, picture, QEMU_LD_PREFIX=system)


def packed(image: np.ndarray) -> bytes:
    """Bitmap and patches after the example's stand-in for a model, in Python."""
    grid = SIDE // PATCH
    sums = image.reshape(grid, PATCH, grid, PATCH * 3).sum(axis=(1, 3))
    attention = np.concatenate([[0], sums.ravel()]).astype(np.float32)[np.newaxis]
    logits = np.array([1.0, 1.25, 0.5, 1.0], np.float32)
    decision = kernels.Gate(classes=4, heads=1, rule=kernels.TopK(49))(logits, attention, image)
    return decision.bitmap.tobytes() + decision.patches.tobytes()


def run(*command: str | Path, **environment: str) -> bytes:
    """What a command prints; its complaints are the failure's."""
    done = subprocess.run(command, capture_output=True, env=os.environ | environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_a_file_that_is_no_picture_is_refused(machine: Machine, installed: Path, tmp_path: Path) -> None:
    """In one line that names it."""
    program, source = tmp_path / "gate_frame", ROOT / "csrc" / "example" / "gate_frame.c"
    run(
        machine.compiler,
        "-static",
        source,
        f"-I{installed / 'include'}",
        installed / "lib/libedge_kernels.a",
        "-o",
        program,
    )
    done = subprocess.run([*machine.runner, program, source], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"{source}: is no PPM (P6) of 224 x 224 pixels of 8 bits\n")
