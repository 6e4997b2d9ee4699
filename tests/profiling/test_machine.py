"""What is read of a machine, on made-up boards."""

from __future__ import annotations

import pytest

from edge_runtime.profiling import machine

MIB = 1 << 20


def test_a_pi_4(pi4):
    """Cores by kind, board, clock and memory."""
    assert machine.cpu_name(pi4) == "4 × Cortex-A72"
    assert machine.board(pi4) == "Raspberry Pi 4 Model B Rev 1.4"
    assert machine.governor(pi4) == "ondemand"
    assert machine.frequencies_mhz(pi4) == (600, 1800)
    assert machine.memory_bytes(pi4) == 3884376 * 1024
    assert machine.cache_sizes(pi4) == []
    assert machine.power_mode(pi4) is None


def test_a_pi_5(pi5):
    """Data caches smallest first, instruction caches left out."""
    assert machine.cpu_name(pi5) == "4 × Cortex-A76"
    assert machine.cache_sizes(pi5) == [("L1", 64 << 10), ("L2", 512 << 10), ("L3", 2 * MIB)]


def test_a_jetson(orin):
    """nvpmodel's mode by its name."""
    assert machine.cpu_name(orin) == "6 × Cortex-A78AE"
    assert machine.board(orin) == "NVIDIA Jetson Orin Nano Developer Kit"
    assert machine.power_mode(orin) == "7W"
    assert machine.frequencies_mhz(orin) == (115.2, 1510.4)


def test_a_power_mode_without_a_name_is_its_number(orin):
    """Where nvpmodel's configuration cannot be read."""
    (orin / "etc/nvpmodel.conf").unlink()

    assert machine.power_mode(orin) == "1"


def test_cores_that_differ_are_counted_by_kind(tmp_path):
    """Unknown parts by their numbers."""
    parts = ["0xd05", "0xd05", "0xd0b", "0xfff"]
    lines = [f"CPU implementer : {'0x41' if part != '0xfff' else '0x99'}\nCPU part : {part}\n" for part in parts]
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("".join(lines))

    assert machine.cpu_name(tmp_path) == "2 × Cortex-A55 + 1 × Cortex-A76 + 1 × implementer 0x99 part 0xfff"


def test_an_x86_processor_has_its_name(tmp_path):
    """As /proc/cpuinfo gives it, once."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "processor : 0\nmodel name : AMD EPYC\n\nprocessor : 1\nmodel name : AMD EPYC\n"
    )

    assert machine.cpu_name(tmp_path) == "AMD EPYC"


@pytest.mark.parametrize("read", [machine.cpu_name, machine.board, machine.governor, machine.power_mode])
def test_a_machine_that_tells_nothing(tmp_path, read):
    """Gives None, as a container without sysfs does."""
    assert read(tmp_path) is None
    assert machine.memory_bytes(tmp_path) is None
    assert machine.frequencies_mhz(tmp_path) == (None, None)
