"""The controller over links, devices and servers that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.control.bandwidth_average import BandwidthAverage
from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.control.mode_choice import MESSAGE_BYTES, Conditions, choose
from edge_runtime.control.mode_controller import FIRST_BANDWIDTH, ModeController
from edge_runtime.messages import Mode

if TYPE_CHECKING:
    from edge_runtime.control.modes import ModeTable

ROUND_TRIP_S, SERVER_S, PERIOD_S = 0.02, 0.01, 0.3
ENCODE_S = (0.02, 0.04, 0.06, 0.08)
LINKS = {"ema": BandwidthAverage, "sums": LinkEstimate}


class World:
    """Frames one after the other, each ``PERIOD_S`` after the last; what is late is lost."""

    def __init__(self, table: ModeTable, link: str, encode_s: tuple[float, ...] = ENCODE_S) -> None:
        self.table, self.encode_s, self.now = table, encode_s, 0.0
        self.controller = self.of(LINKS[link](FIRST_BANDWIDTH, ROUND_TRIP_S))

    def of(self, link: Any) -> ModeController:
        """A controller that believes what its bundle says."""
        return ModeController(self.table.modes, ENCODE_S, self.table.server_ms, link)

    def frame(self, bandwidth: float, server_s: float = SERVER_S) -> tuple[Mode, bool]:
        """The mode in which a frame was sent, and whether its answer came in time."""
        mode = self.controller.choose(PERIOD_S, self.now)
        self.controller.encoded(mode, self.encode_s[mode.encoders - 1])
        sent_s = self.now + self.encode_s[mode.encoders - 1]
        size = int(next(one.bytes.mean for one in self.table.modes if one.mode == mode))
        self.controller.sent(size, sent_s)
        reply_s = sent_s + (size + MESSAGE_BYTES) / bandwidth + ROUND_TRIP_S + server_s
        self.now += PERIOD_S
        if reply_s > self.now:
            self.controller.lost(self.now)
            return mode, False
        self.controller.replied({"decode": 0.0, "queue": 0.0, "compute": server_s * 1e3}, reply_s)
        return mode, True


def test_the_first_frame_goes_by_what_is_published_and_measured(modes: ModeTable) -> None:
    """200 kB/s, the times of the warm-up, the table's server."""
    conditions = Conditions(ENCODE_S, 200e3, ROUND_TRIP_S, 0.01)
    world = World(modes, "ema")
    assert world.controller.choose(0.15, 0.0) == choose(modes.modes, conditions, 0.15).mode
    assert world.controller.conditions(0.0) == conditions


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("bandwidth", [1.2e4, 4e4, 1e5, 1e6])
def test_on_a_constant_link_the_best_mode_is_found(modes: ModeTable, link: str, bandwidth: float) -> None:
    """Within some frames the choice is that of who knows the link, and no answer is late."""
    world = World(modes, link)
    asked = [world.frame(bandwidth) for _ in range(40)][30:]
    known = choose(modes.modes, Conditions(ENCODE_S, bandwidth, ROUND_TRIP_S, SERVER_S), PERIOD_S)
    accuracy = {one.mode: one.accuracy for one in modes.modes}
    assert all(in_time for _, in_time in asked)
    assert all(accuracy[mode] >= known.accuracy - 0.01 for mode, _ in asked)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_breaks_down_is_followed(modes: ModeTable, link: str) -> None:
    """Answers that do not come teach as well: smaller modes are in time again after some losses."""
    world = World(modes, link)
    for _ in range(20):
        world.frame(1e6)
    asked = [world.frame(1e4) for _ in range(20)]
    assert not asked[0][1]
    assert all(in_time for _, in_time in asked[14:])
    assert {mode.levels for mode, _ in asked[14:]} <= {2, 3}


def test_after_a_jump_a_deviation_is_kept_back(modes: ModeTable) -> None:
    """Sums know that the link varies: what is chosen then is smaller than what the mean alone would allow."""
    world = World(modes, "sums")
    for _ in range(10):
        world.frame(1e6)
    steady = world.controller.choose(0.06, world.now)
    assert steady == choose(modes.modes, world.controller.conditions(world.now), 0.06).mode
    world.frame(3e4)
    world.frame(1e6)
    mean = choose(modes.modes, world.controller.conditions(world.now), 0.1).mode
    assert world.controller.choose(0.1, world.now).levels < mean.levels


def test_a_slow_device_is_believed_what_it_takes(modes: ModeTable) -> None:
    """Four encoders that take four times as long are given up for fewer."""
    world = World(modes, "ema", tuple(4 * taken_s for taken_s in ENCODE_S))
    asked = [world.frame(1e6) for _ in range(20)]
    assert asked[0][0].encoders == 4
    assert all(mode.encoders < 4 and in_time for mode, in_time in asked[12:])


def test_a_stall_is_forgotten_in_the_modes_that_avoid_it(modes: ModeTable) -> None:
    """One frame of four encoders that took a second drives them out, frames of fewer bring them back."""
    world = World(modes, "ema")
    for _ in range(10):
        world.frame(1e6)
    world.controller.encoded(Mode(4, 16), 1.0)
    asked = [world.frame(1e6)[0].encoders for _ in range(20)]
    assert asked[0] < 4
    assert asked[-1] == 4


def test_a_slow_server_is_believed_what_it_takes(modes: ModeTable) -> None:
    """Waiting included, it takes time from the encoders; the link is not blamed."""
    world = World(modes, "ema")
    asked = [world.frame(1e5, server_s=0.14) for _ in range(20)]
    assert all(in_time for _, in_time in asked[10:])
    assert world.controller.conditions(world.now).server_s == pytest.approx(0.14, rel=0.05)
    assert world.controller.conditions(world.now).bandwidth == pytest.approx(1e5, rel=0.05)


def test_what_was_lost_at_once_says_nothing_of_the_link(modes: ModeTable) -> None:
    """A refusal, or a breaker that is open; and who was not sent is not lost."""
    world = World(modes, "ema")
    world.controller.lost(0.0)
    world.controller.replied({"compute": 1.0}, 0.0)
    world.controller.sent(1000, 1.0)
    world.controller.lost(1.001)
    assert world.controller.conditions(1.0) == Conditions(ENCODE_S, 200e3, ROUND_TRIP_S, 0.01)
    world.controller.sent(1000, 2.0)
    world.controller.lost(2.3)
    assert world.controller.conditions(3.0).bandwidth < 200e3


def test_a_server_that_lies_of_its_times_is_held_to_the_clock(modes: ModeTable) -> None:
    """It took no longer than its reply, and no less than nothing."""
    for claimed_ms in (1e9, -1e9, float("nan")):
        world = World(modes, "ema")
        world.controller.sent(1000, 0.0)
        world.controller.replied({"compute": claimed_ms}, 0.05)
        found = world.controller.conditions(0.05)
        assert 0 < found.server_s < 0.02
        assert found.bandwidth > 0
