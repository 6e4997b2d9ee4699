"""What figures depend on: the machine, its kernel, and the versions of what ran."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import msgspec

from edge_runtime import kernels
from edge_runtime.profiling import machine
from edge_runtime.profiling.report import Fingerprint

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = (
    "edge-runtime", "numpy", "numba", "onnxruntime", "onnxruntime-gpu", "ai-edge-litert", "tflite-runtime", "pillow",
)  # fmt: skip


def fingerprint(root: Path) -> Fingerprint:
    """Of this process on the machine whose files lie under ``root``."""
    slowest, fastest = machine.frequencies_mhz(root)
    backend = kernels.backend()
    return Fingerprint(
        machine=platform.machine(),
        cpu=machine.cpu_name(root),
        board=machine.board(root),
        cores=usable_cores(),
        governor=machine.governor(root),
        slowest_mhz=slowest,
        fastest_mhz=fastest,
        power_mode=machine.power_mode(root),
        memory_bytes=machine.memory_bytes(root),
        kernel=platform.release(),
        libc=" ".join(filter(None, platform.libc_ver())) or None,
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name)) is not None},
        backend=backend.name,
        isa=backend.isa,
    )


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def differences(old: Fingerprint, new: Fingerprint) -> list[str]:
    """What is not the same, as ``key: old → new``, packages by name."""
    before, after = (_flat(one) for one in (old, new))
    return [
        f"{key}: {before.get(key)} → {after.get(key)}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _flat(fingerprint: Fingerprint) -> dict[str, object]:
    found: dict[str, object] = msgspec.structs.asdict(fingerprint)
    packages = found.pop("packages")
    assert isinstance(packages, dict)  # noqa: S101 - for the type checker
    return found | packages


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
