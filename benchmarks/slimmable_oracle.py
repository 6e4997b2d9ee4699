"""One who knows the link to come and what each photo packs to: the best mode that is answered in time.

Whatever a photo takes beyond encoders, link, round trip and the table's server time, here and at the server, it takes
for the oracle as well: the median of what was measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_runtime.control.mode_choice import MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from link_runs import Late
    from numpy.typing import NDArray

    from edge_runtime.control.modes import ModeTable
    from edge_runtime.evaluation.trace_syntax import LinkTrace
    from edge_runtime.messages import Mode
    from edge_runtime.systems.slimmable import Controller

    F64 = NDArray[np.float64]


class Answered(NamedTuple):
    """An answered photo: its mode and payload bytes, and when it was decided on, sent and answered.

    Seconds are those of ``time.monotonic``.
    """

    mode: Mode
    size: int
    since_s: float
    sent_s: float
    replied_s: float


class Watch:
    """A controller whose choices are written down, and the photos of them that were answered."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.modes: list[Mode] = []
        self.answered: list[Answered] = []
        self._since_s = self._sent_s = 0.0
        self._size = 0

    def choose(self, left_s: float, now: float) -> Mode:
        """The controller's choice."""
        self._since_s = now
        self.modes.append(self._controller.choose(left_s, now))
        return self.modes[-1]

    def encoded(self, mode: Mode, taken_s: float) -> None:
        """Tell the controller."""
        self._controller.encoded(mode, taken_s)

    def sent(self, size: int, now: float) -> None:
        """Tell the controller."""
        self._size, self._sent_s = size, now
        self._controller.sent(size, now)

    def replied(self, timings_ms: Mapping[str, float], now: float) -> None:
        """Tell the controller, and write it down."""
        self.answered.append(Answered(self.modes[-1], self._size, self._since_s, self._sent_s, now))
        self._controller.replied(timings_ms, now)

    def lost(self, now: float) -> None:
        """Tell the controller."""
        self._controller.lost(now)


class Foreseen:
    """What a photo takes in each mode of a ``table``, when nothing is late; ``encode_s[n - 1]`` of n encoders.

    What is sent crosses the link at the rate of that moment, as it does in the shaper.
    """

    def __init__(self, table: ModeTable, encode_s: Sequence[float], link: LinkTrace) -> None:
        self._link, self._server_s = link, table.server_ms / 1e3
        self._encode_s = np.array(encode_s)
        self._encoders = np.array([one.encoders for one in table.modes])

    def total_s(self, start_s: float, sizes: F64) -> F64:
        """Seconds from ``start_s`` on the trace to the answer, for payloads of such bytes, ``[modes]``."""
        encode_s = self._encode_s[self._encoders - 1]
        rates = np.array([self._link.bandwidth.at(start_s + taken_s) for taken_s in self._encode_s])
        return encode_s + self._answer_s(sizes, rates[self._encoders - 1])

    def lateness(self, answered: Iterable[Answered], started_s: float) -> Late:
        """By how many seconds each took longer, with its mode; the link has followed its trace since ``started_s``."""
        return [
            (
                one.mode,
                one.replied_s
                - one.since_s
                - self._encode_s[one.mode.encoders - 1]
                - self._answer_s(one.size, self._link.bandwidth.at(one.sent_s - started_s)),
            )
            for one in answered
        ]

    def _answer_s(self, size: float | F64, rate: float | F64) -> F64:
        return (size + MESSAGE_BYTES) / rate + self._link.round_trip_s + self._server_s


def typical(late: Late, share: float = 0.5) -> float:
    """Seconds that this share of photos is late at most."""
    return float(np.quantile([late_s for _, late_s in late], share))


def best(table: ModeTable, total_s: F64, left_s: float) -> int | None:
    """The place of the most accurate mode that takes no longer; of equally accurate ones the smaller. None of none."""
    fitting = np.flatnonzero(total_s <= left_s)
    if not len(fitting):
        return None
    return int(max(fitting, key=lambda place: (table.modes[place].accuracy, -table.modes[place].bytes.mean)))
