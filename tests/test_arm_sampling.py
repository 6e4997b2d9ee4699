"""Sampling on an emulated ARM core."""

from __future__ import annotations

import shutil
from pathlib import Path

import arm_sampling as race
import pytest

from edge_runtime import kernels

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "aarch64-linux-gnu-gcc", "qemu-aarch64"))),
    reason="needs gcc, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user",
)


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program for the emulated core."""
    return race.build(race.CROSS_COMPILER, race.PROGRAM, tmp_path_factory.mktemp("arm"))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program for this CPU."""
    return race.build("gcc", race.PROGRAM, tmp_path_factory.mktemp("here"))


@pytest.mark.parametrize("pattern", kernels.PATTERNS)
def test_patches_are_the_same_everywhere(here: Path, arm: Path, pattern: kernels.Pattern) -> None:
    """In NumPy, on this CPU and on the emulated one, for the first seeds."""
    assert race.compared(here, arm, pattern, 49, seeds=100)


@pytest.mark.long
@pytest.mark.parametrize("pattern", kernels.PATTERNS)
def test_ten_thousand_seeds_are_the_same_everywhere(here: Path, arm: Path, pattern: kernels.Pattern) -> None:
    """The same at several numbers of patches."""
    assert all(race.compared(here, arm, pattern, k, seeds=10_000) for k in race.PATCHES)
