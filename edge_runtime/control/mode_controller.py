"""Turns the two knobs of slimmable encoders for each frame, by what the frames before have shown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

from edge_runtime.control.mode_choice import MESSAGE_BYTES, Conditions, choose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_runtime.control.link_estimate import LinkView
    from edge_runtime.control.modes import ModeFigures
    from edge_runtime.messages import Mode

# Published: what is believed of a link, in bytes a second, before anything has crossed it.
FIRST_BANDWIDTH = 200e3
# Weight of the newest frame for the times of encoders and server.
GAIN = 0.2
# A reply that was waited for in vain counts as if it had taken so many times as long.
LOST = 2.0


class Link(Protocol):
    """Whatever learns a link from requests: `BandwidthAverage` or `LinkEstimate`."""

    def sent(self, number: int, size: int, server_s: float, now: float) -> None:
        """Request ``number`` of ``size`` bytes went out; the server should work on it for ``server_s`` seconds."""

    def replied(self, number: int, server_s: float, now: float) -> None:
        """Its reply came, after ``server_s`` seconds at the server."""

    def lost(self, number: int) -> None:
        """It will never be answered, and that says nothing of the bandwidth."""

    def view(self, now: float) -> LinkView:
        """The belief at ``now``."""


class ModeController:
    """Chooses modes for the frames of one client, one frame after the other; seconds are on the caller's clock.

    ``encode_s[n - 1]`` are the seconds that n encoders took when they were tried, and ``server_ms`` the server's
    milliseconds by the table of the ``modes``; both are corrected by every frame. Call `choose` for each frame, then
    `encoded` and `sent`, then `replied` or `lost`.
    """

    def __init__(self, modes: Sequence[ModeFigures], encode_s: Sequence[float], server_ms: float, link: Link) -> None:
        self._modes, self._link = modes, link
        self._encode_s, self._server_s = tuple(encode_s), server_ms / 1e3
        self._slower = 1.0
        self._number = 0
        self._under_way: _UnderWay | None = None

    def choose(self, left_s: float, now: float) -> Mode:
        """The mode for a frame whose answer is needed in ``left_s`` seconds."""
        conditions = self.conditions(now)
        # A link that jumps may have jumped again: more accuracy is worth little beside an answer in time.
        careful = conditions.bandwidth * math.exp(-self._link.view(now).deviation)
        return choose(self._modes, conditions._replace(bandwidth=careful), left_s).mode

    def conditions(self, now: float) -> Conditions:
        """What is believed."""
        view = self._link.view(now)
        encode_s = tuple(self._slower * taken_s for taken_s in self._encode_s)
        return Conditions(encode_s, view.bandwidth, view.round_trip_s, self._server_s)

    def encoded(self, mode: Mode, taken_s: float) -> None:
        """Encoders and codec took so long for a frame."""
        self._slower += GAIN * (taken_s / self._encode_s[mode.encoders - 1] - self._slower)

    def sent(self, size: int, now: float) -> None:
        """A payload of ``size`` bytes goes out."""
        conditions = self.conditions(now)
        expected_s = conditions.crossing_s(size) + conditions.server_s
        self._number += 1
        self._link.sent(self._number, size + MESSAGE_BYTES, self._server_s, now)
        self._under_way = _UnderWay(now, expected_s)

    def replied(self, timings_ms: Mapping[str, float], now: float) -> None:
        """It was answered, with the server's times."""
        found, self._under_way = self._under_way, None
        if found is None:
            return
        # The server cannot have taken longer than the reply took to come.
        server_s = min(max(0.0, sum(timings_ms.values()) / 1e3), now - found.sent_s)
        self._link.replied(self._number, server_s, now)
        self._server_s += GAIN * (server_s - self._server_s)

    def lost(self, now: float) -> None:
        """It was not. If it was waited for long enough, the link is slower than it seemed."""
        found, self._under_way = self._under_way, None
        if found is None:
            return
        waited_s = now - found.sent_s
        if waited_s < found.expected_s:
            self._link.lost(self._number)
        else:
            self._link.replied(self._number, self._server_s, found.sent_s + LOST * waited_s)


class _UnderWay(NamedTuple):
    """A request: when it was sent, and how long it should take."""

    sent_s: float
    expected_s: float
