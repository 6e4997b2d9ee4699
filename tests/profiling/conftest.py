"""Made-up machines, as trees of the files that Linux would show, and a profile put together by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from edge_runtime.profiling.report import (
    FORMAT,
    Bandwidth,
    Ceilings,
    Estimate,
    Fingerprint,
    KernelRow,
    ModelRow,
    Peak,
    PipelineRow,
    Profile,
    Sensors,
    Stage,
    Timing,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CORE = "processor : {}\nBogoMIPS : 108.00\nCPU implementer : {}\nCPU architecture: 8\nCPU part : {}\n\n"
FREQ = "sys/devices/system/cpu/cpu{}/cpufreq/"


def cores(*parts: tuple[str, str]) -> str:
    """A /proc/cpuinfo of cores by implementer and part."""
    return "".join(CORE.format(number, *part) for number, part in enumerate(parts))


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write the files of a made-up tree."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def clocks(core: int, slowest: int, fastest: int, now: int, governor: str) -> dict[str, str]:
    """One core's cpufreq files, in kHz."""
    values = {"min_freq": slowest, "max_freq": fastest, "cur_freq": now, "governor": governor}
    return {f"{FREQ.format(core)}scaling_{name}": f"{value}\n" for name, value in values.items()}


@pytest.fixture
def pi4(tmp_path: Path) -> Path:
    """A Raspberry Pi 4 whose supply is weak: its firmware has capped the clock."""
    return plant(
        tmp_path,
        {
            "proc/cpuinfo": cores(*[("0x41", "0xd08")] * 4) + "Model : Raspberry Pi 4 Model B Rev 1.4\n",
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/meminfo": "MemTotal:        3884376 kB\nMemFree: 1 kB\n",
            **clocks(0, 600000, 1800000, 1500000, "ondemand"),
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "61342\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50003\n",
        },
    )


@pytest.fixture
def pi5(tmp_path: Path) -> Path:
    """A Raspberry Pi 5 with a fan, at ease."""
    caches = {"index0": ("1", "Data", "64K"), "index1": ("1", "Instruction", "64K"), "index2": ("2", "Unified", "512K")}
    caches["index3"] = ("3", "Unified", "2048K")
    cache = "sys/devices/system/cpu/cpu0/cache"
    return plant(
        tmp_path,
        {
            "proc/cpuinfo": cores(*[("0x41", "0xd0b")] * 4),
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "proc/meminfo": "MemTotal:        8245264 kB\n",
            **clocks(0, 1500000, 2400000, 2400000, "ondemand"),
            **{
                f"{cache}/{index}/{key}": f"{value}\n"
                for index, values in caches.items()
                for key, value in zip(("level", "type", "size"), values, strict=True)
            },
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "48900\n",
            "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
            "sys/class/thermal/cooling_device0/cur_state": "2\n",
            "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": "0\n",
        },
    )


@pytest.fixture
def orin(tmp_path: Path) -> Path:
    """A Jetson Orin, hot: one zone cannot be read, and the processor is slowed down."""
    zones = {"thermal_zone0": ("cv0-thermal", ""), "thermal_zone1": ("cpu-thermal", "99500")}
    cooling = {"cooling_device0": ("pwm-fan", "3"), "cooling_device1": ("cpu-throttle-alert", "1")}
    cooling["cooling_device2"] = ("gpu-throttle-alert", "0")
    thermal = "sys/class/thermal"
    return plant(
        tmp_path,
        {
            "proc/cpuinfo": cores(*[("0x41", "0xd42")] * 6),
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
            "proc/meminfo": "MemTotal:        7802024 kB\n",
            **clocks(0, 115200, 1510400, 729600, "schedutil"),
            **clocks(4, 115200, 1510400, 1190400, "schedutil"),
            **{f"{thermal}/{zone}/type": f"{kind}\n" for zone, (kind, _) in zones.items()},
            **{f"{thermal}/{zone}/temp": f"{value}\n" for zone, (_, value) in zones.items()},
            **{f"{thermal}/{device}/type": f"{kind}\n" for device, (kind, _) in cooling.items()},
            **{f"{thermal}/{device}/cur_state": f"{state}\n" for device, (_, state) in cooling.items()},
            "var/lib/nvpmodel/status": "pmode:0001",
            "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=7W >\n",
        },
    )


def timing(seconds: float, *, narrow: float = 0.01, unit: str = "cycles", stable: bool = True) -> Timing:
    """Of a call that takes so long, known to a share of ``narrow``; a cycle is a nanosecond."""
    scale = 1e9 if unit == "cycles" else 1.0
    around = [seconds, seconds * (1 - narrow), seconds * (1 + narrow)]
    quick = Estimate(*(value * scale for value in around))
    return Timing(Estimate(*around), seconds * 1.1, 0.05, 40, stable, seconds * 3, quick, unit)


def kernel(name: str = "softmax of 1000", backend: str = "native avx2", seconds: float = 1e-5, **changes) -> KernelRow:
    """A row of 8,000 bytes and 33,000 operations."""
    figures = {"bandwidth_share": 0.01, "arithmetic_share": 0.03, "bound": "arithmetic", **changes}
    return KernelRow(name, backend, timing(seconds), 8000, 33000, "float", **figures)


def model(seconds: float | None = 2e-3, runtime: str = "litert", threads: int = 1, **changes) -> ModelRow:
    """A row of the model net."""
    clock = "cpu" if threads == 1 else "wall"
    row = {"load": 0.01, "timing": seconds and timing(seconds), "peak_share": 0.5, "added_bytes": 1 << 24, **changes}
    return ModelRow("net", f"net-{runtime}.bin", runtime, "int8", "cpu", threads, clock, 10**8, **row)


def pipeline(model_s: float = 6e-3, decode_s: float = 1e-3) -> PipelineRow:
    """Decode and model."""
    stages = (Stage("JPEG decode", timing(decode_s)), Stage("model", timing(model_s), "net"))
    return PipelineRow("attention", "onnxruntime", "fp16", stages)


@pytest.fixture(scope="session")
def rows() -> SimpleNamespace:
    """What makes rows of made-up figures."""
    return SimpleNamespace(timing=timing, kernel=kernel, model=model, pipeline=pipeline)


@pytest.fixture
def made_up() -> Callable[..., Profile]:
    """A profile of made-up figures; parts of it can be replaced."""

    def make(**changes) -> Profile:
        memory = (Bandwidth("L1", 32 << 10, 2e11, 1e11), Bandwidth("memory", 1 << 26, 1e10, 2e10))
        peaks = (Peak("scalar", 1, 4e10, 8e10), Peak("avx2", 1, 1e11, 2e11))
        print_ = Fingerprint(
            machine="aarch64", cpu="4 × Cortex-A76", board="Raspberry Pi 5", cores=4, governor="ondemand",
            slowest_mhz=1500, fastest_mhz=2400, power_mode=None, memory_bytes=8 << 30, kernel="6.6", libc="glibc 2.36",
            python="3.11.2", packages={"numpy": "1.26.4"}, backend="native", isa="avx2",
        )  # fmt: skip
        parts = {
            "format": FORMAT, "created": "2026-01-02T03:04:05+00:00", "took": 60.0, "fingerprint": print_,
            "before": Sensors(50.0, 2400.0, ()), "after": Sensors(81.0, 1800.0, ("throttled",)),
            "ceilings": Ceilings(2.4e9, peaks, memory),
            "kernels": (kernel(), kernel(backend="reference", seconds=7e-5)),
            "models": (model(), model(None, "tflite-runtime", error="cannot load it")), "pipelines": (pipeline(),),
            "bundle": "imagenette", "advice": "Nothing was measured.", **changes,
        }  # fmt: skip
        return Profile(**parts)

    return make
