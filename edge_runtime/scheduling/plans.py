"""What the scheduler can decide: how the next frames are computed, and how many at a time.

The modes are those of the BPS scheduler (Hou et al., IEEE TCC 2024) as our reconstruction has them: the paper's own
list was not to be had. See docs/systems/bps.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Mode = Literal["local", "remote", "data-parallel", "split", "split-pipeline", "hybrid"]
MODES: tuple[Mode, ...] = get_args(Mode)
PIPELINED: tuple[Mode, ...] = ("remote", "split-pipeline", "hybrid")

BATCHES = (1, 2, 4, 8, 16, 32)
# Requests under way at most: a few less than a reference server takes at a time.
MOST_IN_FLIGHT = 12


@dataclass(frozen=True, slots=True)
class Plan:
    """One way of working through the queue.

    ``batch`` frames share a request, or a run where nothing is sent. ``cut`` says where the network is cut; empty, the
    photos themselves travel. ``level`` names how finely (see `tables.Level`). ``local`` frames are computed whole on
    the device: beside each request (data-parallel), or whenever no further request may start (hybrid). ``in_flight``
    requests may be under way.
    """

    mode: Mode
    batch: int
    cut: str = ""
    level: str = ""
    local: int = 0
    in_flight: int = 1

    @property
    def sends(self) -> bool:
        """Whether anything is sent at all."""
        return self.mode != "local"

    @property
    def name(self) -> str:
        """For example ``hybrid(4, conv16, ff q40, local 1)``."""
        parts = [str(self.batch), self.cut, self.level, f"local {self.local}" if self.sends and self.local else ""]
        return f"{self.mode}({', '.join(filter(None, parts))})"


LOCAL = Plan("local", 1)
"""What is always possible."""
