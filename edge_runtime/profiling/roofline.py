"""Where a call lies under the roofline (Williams, Waterman and Patterson, 2009): how near it is to which ceiling."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edge_runtime.profiling.report import Arithmetic, Bound, Ceilings, Peak


class Place(NamedTuple):
    """Shares of bandwidth and of arithmetic peak that a call reaches; the nearer ceiling bounds it."""

    bandwidth_share: float
    arithmetic_share: float
    bound: Bound


def place(
    ceilings: Ceilings | None, isa: str | None, arithmetic: Arithmetic, moved: int, operations: int, seconds: float
) -> Place | None:
    """Of a call that moves and computes so much; None without ceilings for that instruction set."""
    peak = ceilings.peak(isa) if ceilings else None
    if ceilings is None or peak is None:
        return None
    rate = peak_rate(peak, arithmetic)
    bandwidth_share = moved / seconds / ceilings.bandwidth(moved).best
    arithmetic_share = operations / seconds / rate if rate else 0.0
    return Place(bandwidth_share, arithmetic_share, "memory" if bandwidth_share >= arithmetic_share else "arithmetic")


def peak_rate(peak: Peak, arithmetic: Arithmetic) -> float:
    """Operations a second, 0 where nothing measures them."""
    return peak.float_ops if arithmetic == "float" else peak.int16_ops
