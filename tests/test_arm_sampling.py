"""Sampling on an emulated ARM core."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edge_runtime import kernels

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "aarch64-linux-gnu-gcc", "qemu-aarch64"))),
    reason="needs gcc, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user",
)


@pytest.fixture(scope="module")
def race() -> ModuleType:
    """The benchmark; the folder is one of programs and no package."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module("arm_sampling")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def arm(race: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program for the emulated core."""
    return race.build(race.CROSS_COMPILER, tmp_path_factory.mktemp("arm"))


@pytest.mark.long
@pytest.mark.parametrize("pattern", kernels.PATTERNS)
def test_ten_thousand_seeds_are_the_same_everywhere(
    race: ModuleType, arm: Path, pattern: kernels.Pattern, tmp_path: Path
) -> None:
    """In NumPy, on this CPU and on the emulated one, at several numbers of patches."""
    here = race.build("gcc", tmp_path)

    assert all(race.compared(here, arm, pattern, k, seeds=10_000) for k in race.PATCHES)


@pytest.mark.parametrize("pattern", kernels.PATTERNS)
def test_a_photo_is_sampled_in_few_instructions(race: ModuleType, arm: Path, pattern: kernels.Pattern) -> None:
    """A quarter of 14 × 14 patches: far from the million or so that a slow core has in a millisecond."""
    found = race.instructions(arm, pattern, 49)

    assert 49 < found["sample"] < 20_000
    assert 49 * 16 < found["gather"] < 20_000
