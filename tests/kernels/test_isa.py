"""The instruction sets that the compiled kernels offer, and the one that they choose."""

import importlib
import platform
from pathlib import Path

import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.profiling.kernel_cases import kernel_cases

CPUINFO = Path("/proc/cpuinfo")
# Flags of the system's description of the CPU that a set needs, by architecture, best last.
NEEDS = {
    "x86_64": {"scalar": set(), "avx2": {"avx2"}, "avx512": {"avx2", "avx512f", "avx512bw", "avx512_vnni"}},
    "aarch64": {"scalar": set(), "neon": set(), "dotprod": {"asimddp"}},
}
# What has more versions than one, and so a name that tells the sets apart.
VERSIONS = {
    "scalar": {"resample_horizontal": "scalar", "resample_vertical": "scalar", "gather": "scalar"},
    "avx2": {"resample_horizontal": "scalar", "resample_vertical": "avx2", "gather": "avx2"},
    "avx512": {"resample_horizontal": "scalar", "resample_vertical": "avx2", "gather": "avx512"},
    "neon": {"resample_horizontal": "neon", "resample_vertical": "neon", "gather": "neon"},
    "dotprod": {"resample_horizontal": "dotprod", "resample_vertical": "neon", "gather": "neon"},
}

pytestmark = pytest.mark.skipif(not CPUINFO.exists(), reason="no /proc/cpuinfo")


@pytest.fixture
def native():
    """The compiled kernels, with the same set afterwards."""
    module = importlib.import_module("edge_runtime.kernels.native")
    before = module.info().isa
    yield module
    module.use_isa(before)


@pytest.fixture(scope="module")
def promised():
    """The sets that the system says this CPU has, best last; the build has them all."""
    flags = set()
    for line in CPUINFO.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"flags", "Features"}:
            flags.update(value.split())
    needs = NEEDS.get(platform.machine(), {"scalar": set()})
    return [isa for isa, needed in needs.items() if needed <= flags]


def test_what_the_cpu_has_is_offered(native, promised):
    """Every vector version was built and is found, and nothing that would be a missing instruction."""
    assert promised == list(native.isas())


def test_the_best_is_chosen(native, promised):
    """At load, without a word."""
    assert native.info().isa == promised[-1]


def test_a_set_says_which_versions_it_takes(native, promised):
    """Kernel by kernel: some of a better set are those of the one before it."""
    for isa in promised:
        assert native.use_isa(isa)
        functions = native.info().functions
        assert VERSIONS[isa] == {kernel: functions[kernel] for kernel in VERSIONS[isa]}


def test_what_the_cpu_lacks_is_refused(native, promised):
    """And the choice stays."""
    for isa in [*(set(VERSIONS) - set(promised)), "altivec"]:
        assert not native.use_isa(isa)
        assert native.info().isa == promised[-1]


def plain(result):
    """A result as data that compares: arrays as dtype and bytes, what has fields as their values."""
    if isinstance(result, np.ndarray):
        return result.dtype, result.shape, result.tobytes()
    fields = getattr(result, "__slots__", None) or getattr(result, "_fields", ())
    return [plain(getattr(result, field)) for field in fields] or result


@pytest.mark.parametrize("case", kernel_cases(), ids=lambda case: case.name)
def test_every_set_has_the_bytes_of_numpy(native, isa, case):
    """A typical call of each kernel, in each set that this CPU has."""
    with kernels.use("reference"):
        expected = plain(case.make()())
    with kernels.use("native"):
        native.use_isa(isa)
        assert plain(case.make()()) == expected
