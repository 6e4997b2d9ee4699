"""Which backend serves, and how it is chosen."""

import os
import subprocess
import sys

import pytest

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError

SHOW = "from edge_runtime import kernels; print(kernels.backend().name)"
HIDE_NATIVE = "import sys; sys.modules['edge_runtime.kernels._native'] = None; "


def python(code: str, choice: str | None) -> subprocess.CompletedProcess:
    """Run a fresh interpreter with the environment variable set or not."""
    environment = {key: value for key, value in os.environ.items() if key != "EDGE_RUNTIME_KERNELS"}
    if choice is not None:
        environment["EDGE_RUNTIME_KERNELS"] = choice
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_every_kernel_says_what_runs_it(each_backend):
    """Name, instruction set, and one entry per kernel."""
    info = kernels.backend()

    assert info.name == each_backend.split()[0]
    assert info.isa
    assert {"gate", "resample_vertical", "select_sum", "uncertainty"} <= set(info.functions)


def test_the_environment_chooses():
    """By name."""
    assert python(SHOW, "reference").stdout.strip() == "reference"


def test_without_the_compiled_module_the_reference_serves():
    """Silently: the kernels are slower, not different."""
    result = python(HIDE_NATIVE + SHOW, None)

    assert (result.stdout.strip(), result.stderr) == ("reference", "")


@pytest.mark.parametrize(
    ("code", "choice", "message"),
    [
        (SHOW, "fortran", "kernels: backend 'fortran' is unknown"),
        (HIDE_NATIVE + SHOW, "native", "kernels: backend 'native' cannot be loaded"),
    ],
)
def test_a_choice_that_cannot_be_met_is_an_error(code, choice, message):
    """Asked for by name, another backend is never put in its place."""
    assert message in python(code, choice).stderr


def test_use_switches_and_switches_back():
    """For the block, or for good."""
    before = kernels.backend().name

    with kernels.use("reference"):
        assert kernels.backend().name == "reference"

    assert kernels.backend().name == before
    with pytest.raises(ArgumentError, match=r"^kernels: backend 'fortran' is unknown"):
        kernels.use("fortran")
    assert kernels.backend().name == before


def test_importing_the_kernels_does_not_import_numba():
    """Start time and writable-executable memory are paid by those who ask."""
    assert python("import sys, edge_runtime.kernels; print('numba' in sys.modules)", None).stdout.strip() == "False"
