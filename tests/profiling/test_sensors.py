"""What is read of a machine at work, on made-up boards."""

from __future__ import annotations

from edge_runtime.profiling import sensors
from edge_runtime.profiling.report import Sensors


def test_a_pi_4_with_a_weak_supply(pi4):
    """The firmware's low bits by name; what once was, in the high bits, is not now."""
    assert sensors.read(pi4) == Sensors(61.342, 1500, ("under-voltage", "frequency capped"))


def test_a_pi_5_at_ease(pi5):
    """Found under another name of the chip's bus; a fan that turns slows nothing down."""
    assert sensors.read(pi5) == Sensors(48.9, 2400, ())


def test_a_hot_jetson(orin):
    """The processor's zone, the fastest core's clock, and the cooling that takes speed away."""
    assert sensors.read(orin) == Sensors(99.5, 1190.4, ("cpu-throttle-alert",))


def test_a_machine_that_tells_nothing(tmp_path):
    """Null is not the same as not throttled."""
    assert sensors.read(tmp_path) == Sensors(None, None, None)


def test_any_zone_is_better_than_none(tmp_path):
    """A board whose zones have names of their own."""
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("acpitz\n")
    (zone / "temp").write_text("27800\n")

    assert sensors.temperature_c(tmp_path) == 27.8
