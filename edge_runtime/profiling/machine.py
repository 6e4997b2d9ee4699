"""What Linux tells of the machine: processor, board, caches, clock, memory.

Each function reads files under ``root`` ("/", or a made-up tree) and gives None where the machine does not tell.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ARM = 0x41
# Arm's own parts by the number in MIDR_EL1, as the kernel's arch/arm64/include/asm/cputype.h and Arm's manuals give it.
ARM_PARTS = {
    0xB76: "ARM1176", 0xC07: "Cortex-A7", 0xC08: "Cortex-A8", 0xC09: "Cortex-A9", 0xC0E: "Cortex-A17",
    0xC0F: "Cortex-A15", 0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55", 0xD07: "Cortex-A57",
    0xD08: "Cortex-A72", 0xD09: "Cortex-A73", 0xD0A: "Cortex-A75", 0xD0B: "Cortex-A76", 0xD0C: "Neoverse-N1",
    0xD0D: "Cortex-A77", 0xD40: "Neoverse-V1", 0xD41: "Cortex-A78", 0xD42: "Cortex-A78AE", 0xD44: "Cortex-X1",
    0xD46: "Cortex-A510", 0xD47: "Cortex-A710", 0xD48: "Cortex-X2", 0xD49: "Neoverse-N2", 0xD4F: "Neoverse-V2",
}  # fmt: skip
IMPLEMENTERS = {ARM: "Arm", 0x42: "Broadcom", 0x4E: "NVIDIA", 0x51: "Qualcomm", 0x61: "Apple", 0xC0: "Ampere"}
CPUS = "sys/devices/system/cpu"
CPUFREQ = f"{CPUS}/cpu0/cpufreq"
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def text(path: Path) -> str | None:
    """What a file holds, without zero bytes and white space around it; None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \t\n") or None
    except OSError:
        return None


def number(path: Path) -> float | None:
    """What a file holds, if that is a number."""
    try:
        return float(text(path) or "")
    except ValueError:
        return None


def cpu_name(root: Path) -> str | None:
    """The processor's model; on ARM its cores by kind, like ``4 × Cortex-A76``."""
    lines = (text(root / "proc/cpuinfo") or "").splitlines()
    pairs = [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]
    names = [value for key, value in pairs if key == "model name"]
    implementers = [value for key, value in pairs if key == "CPU implementer"]
    parts = [value for key, value in pairs if key == "CPU part"]
    if not parts or len(parts) != len(implementers):
        return names[0] if names else None
    cores = [_core(int(who, 16), int(part, 16)) for who, part in zip(implementers, parts, strict=True)]
    return " + ".join(f"{cores.count(core)} × {core}" for core in dict.fromkeys(cores))


def _core(implementer: int, part: int) -> str:
    if implementer == ARM and part in ARM_PARTS:
        return ARM_PARTS[part]
    return f"{IMPLEMENTERS.get(implementer, f'implementer {implementer:#04x}')} part {part:#05x}"


def board(root: Path) -> str | None:
    """The board's name, from the device tree or from the firmware."""
    return (
        text(root / "proc/device-tree/model")
        or text(root / "sys/firmware/devicetree/base/model")
        or text(root / "sys/class/dmi/id/product_name")
    )


def governor(root: Path) -> str | None:
    """Of the first core's clock."""
    return text(root / CPUFREQ / "scaling_governor")


def frequencies_mhz(root: Path) -> tuple[float | None, float | None]:
    """Slowest and fastest that the clocks may become, over all cores."""
    found = [
        [value / 1e3 for path in root.glob(f"{CPUS}/cpu[0-9]*/cpufreq/{name}") if (value := number(path)) is not None]
        for name in ("scaling_min_freq", "scaling_max_freq")
    ]
    return min(found[0], default=None), max(found[1], default=None)


def power_mode(root: Path) -> str | None:
    """Of a Jetson: the mode that nvpmodel has set, by name where its configuration lists it."""
    status = re.search(r"pmode:\s*0*(\d+)", text(root / "var/lib/nvpmodel/status") or "")
    if status is None:
        return None
    named = rf"POWER_MODEL\s+ID={status[1]}\s+NAME=([^\s>]+)"
    name = re.search(named, text(root / "etc/nvpmodel.conf") or "")
    return name[1] if name else status[1]


def memory_bytes(root: Path) -> int | None:
    """All of it that the kernel manages."""
    found = re.search(r"MemTotal:\s*(\d+) kB", text(root / "proc/meminfo") or "")
    return int(found[1]) * 1024 if found else None


def cache_sizes(root: Path) -> list[tuple[str, int]]:
    """Name and bytes of the first core's data caches, smallest first; none where the kernel does not know them."""
    found = {}
    for index in sorted(root.glob(f"{CPUS}/cpu0/cache/index[0-9]*")):
        level, size = text(index / "level"), re.fullmatch(r"(\d+)([KMG]?)", text(index / "size") or "")
        if level and size and text(index / "type") != "Instruction":
            found[f"L{level}"] = int(size[1]) * UNITS.get(size[2], 1)
    return sorted(found.items(), key=lambda item: item[1])
