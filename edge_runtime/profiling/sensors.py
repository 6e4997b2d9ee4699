"""What changes while a machine works: temperature, clock, and what slows it down, as far as sysfs tells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge_runtime.profiling.machine import CPUS, number, text
from edge_runtime.profiling.report import Sensors

if TYPE_CHECKING:
    from pathlib import Path

# Of the zones of a board, the one that is the processor's, by the first of these that names one.
ZONES = ("cpu", "x86_pkg", "soc", "coretemp")
# Bits of a Raspberry Pi's get_throttled that say what holds now; those above 16 say what ever did.
PI_THROTTLED = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
# Cooling that takes speed away, unlike a fan. A Jetson's are called cpu-throttle-alert, a Pi's and PC's as the driver.
SLOWING = re.compile(r"throttle|cpufreq|thermal-cpu|Processor|intel_powerclamp")


def read(root: Path) -> Sensors:
    """All of it now."""
    return Sensors(temperature_c(root), frequency_mhz(root), throttled(root))


def temperature_c(root: Path) -> float | None:
    """Of the processor, or of the first zone that has one."""
    zones = []
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone[0-9]*")):
        value = number(zone / "temp")
        if value is not None:
            zones.append(((text(zone / "type") or "").lower(), value / 1e3))
    for wanted in ZONES:
        for name, celsius in zones:
            if wanted in name:
                return celsius
    return zones[0][1] if zones else None


def frequency_mhz(root: Path) -> float | None:
    """The fastest core's clock as it runs now."""
    paths = root.glob(f"{CPUS}/cpu[0-9]*/cpufreq/scaling_cur_freq")
    return max((value / 1e3 for path in paths if (value := number(path)) is not None), default=None)


def throttled(root: Path) -> tuple[str, ...] | None:
    """What takes speed away now, () nothing: a Pi's firmware, or cooling devices at work; None where nobody tells."""
    firmware = [found for path in _firmware(root) if (found := text(path)) is not None]
    if firmware:
        bits = int(firmware[0], 16)
        return tuple(name for bit, name in PI_THROTTLED.items() if bits >> bit & 1)
    cooling = [(text(path / "type") or "", number(path / "cur_state")) for path in _cooling(root)]
    slowing = [(name, state) for name, state in cooling if SLOWING.search(name) and state is not None]
    if not slowing:
        return None
    return tuple(dict.fromkeys(name for name, state in slowing if state > 0))


def _firmware(root: Path) -> list[Path]:
    """The path depends on how the device tree names the chip's bus: soc on a Pi 4, soc@107c000000 on a Pi 5."""
    platform = root / "sys/devices/platform"
    return sorted([*platform.glob("*/get_throttled"), *platform.glob("*/*/get_throttled")])


def _cooling(root: Path) -> list[Path]:
    return sorted(root.glob("sys/class/thermal/cooling_device[0-9]*"))
