"""How traces and arrivals are written on a command line.

A trace is a file name, or rates with their start in seconds and a round trip: ``5mbit/20ms``,
``20mbit@0,1mbit@10/20ms``, ``walk:1mbit,20mbit/20ms``, ``markov:1mbit,5mbit,20mbit/20ms``, ``drive.csv/40ms``. Arrivals
are ``steady:30``, ``poisson:30``, ``bursts:30x16`` (frames a second, frames a burst) or ``saturating``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import ArgumentError
from edge_runtime.scheduling.traces import Trace, bursts, markov, poisson, random_walk, recorded, steady, until
from edge_runtime.transport.shaper import UNITS, LinkShape

RATE = re.compile(r"(\d+(?:\.\d+)?)([kmg]?bit)")
ROUND_TRIP = re.compile(r"(\d+(?:\.\d+)?)ms")
WALK_EVERY_S = 1.0
MARKOV_STAY_S = 5.0


@dataclass(frozen=True)
class LinkTrace:
    """A link over time: bytes a second, and the seconds there and back."""

    bandwidth: Trace
    round_trip_s: float

    def shape(self, rate: float) -> LinkShape:
        """What a shaper makes of it at ``rate`` bytes a second."""
        return LinkShape(8 * rate, self.round_trip_s / 2)


def parse_trace(text: str, duration_s: float, seed: int = 0) -> LinkTrace:
    """Read a trace as the module describes it; raises ArgumentError."""
    rates, slash, round_trip = text.rpartition("/")
    match = ROUND_TRIP.fullmatch(round_trip.strip().lower())
    if not slash or match is None:
        raise ArgumentError(f"trace: {text!r} has no round trip; write it like 5mbit/20ms or drive.csv/40ms")
    return LinkTrace(_bandwidth(rates.strip(), duration_s, seed), float(match[1]) / 1e3)


def _bandwidth(text: str, duration_s: float, seed: int) -> Trace:
    kind, colon, rates = text.partition(":")
    if colon and kind == "markov":
        return markov([_rate(rate) for rate in rates.split(",")], MARKOV_STAY_S, duration_s, seed)
    if colon and kind == "walk":
        ends = [_rate(rate) for rate in rates.split(",")]
        if len(ends) != 2 or ends[0] > ends[1]:
            raise ArgumentError(f"trace: {text!r} needs the least and the greatest rate, like walk:1mbit,20mbit/20ms")
        return random_walk(ends[0], ends[1], WALK_EVERY_S, duration_s, seed)
    if RATE.match(text.lower()):
        return Trace([_step(step) for step in text.split(",")])
    return recorded(Path(text))


def _step(text: str) -> tuple[float, float]:
    rate, at, start = text.partition("@")
    try:
        start_s = float(start) if at else 0.0
    except ValueError:
        raise ArgumentError(f"trace: {text!r} is not RATE@SECONDS, write it like 20mbit@0,1mbit@10/20ms") from None
    return start_s, _rate(rate)


def _rate(text: str) -> float:
    """Bytes a second."""
    match = RATE.fullmatch(text.strip().lower())
    if match is None or float(match[1]) == 0:
        raise ArgumentError(f"trace: {text!r} is not a rate above 0, write it like 5mbit or 800kbit")
    return float(match[1]) * UNITS[match[2]] / 8


def parse_arrivals(text: str, duration_s: float, seed: int = 0) -> list[float] | None:
    """Times of arrival before ``duration_s``, in seconds; None for a queue that never empties. Raises ArgumentError."""
    if text == "saturating":
        return None
    kind, _, amounts = text.partition(":")
    if kind == "bursts":
        rate, _, size = amounts.partition("x")
        return until(bursts(_number(text, rate), int(_number(text, size)), seed), duration_s)
    rate_ = _number(text, amounts)
    if kind == "steady":
        return until(steady(rate_), duration_s)
    if kind == "poisson":
        return until(poisson(rate_, seed), duration_s)
    raise _unknown(text)


def _number(text: str, part: str) -> float:
    try:
        value = float(part)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise _unknown(text)
    return value


def _unknown(text: str) -> ArgumentError:
    known = "steady:30, poisson:30, bursts:30x16 (frames a second), saturating"
    return ArgumentError(f"arrivals: {text!r} is none of {known}")
